"""Pictures decoded, resized and preprocessed by Pillow and transformers: `pictures.py --out DIR`.

What is compared, and why: retrieval figures move when evaluation resizes pictures otherwise than the
program the model came from. So resizing must equal Pillow's bit for bit (its filters, rounding and order of
passes), the whole transform `CLIPImageProcessorPil`'s, and decoding Pillow's `convert("RGB")` after
`exif_transpose`, for every kind of file (JPEG within a bound: another decoder).

`pictures.py --same DIR DIR ...` prints `same` per pair when CLIPImageProcessor does the same by both configs.

Writes files and pictures.json: {resize, preprocess, decode}, each a list of cases; pixels lie beside in
.rgb files, rows of RGB bytes.
"""

import argparse
import io
import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def noise(rng, width, height, channels=3):
    """Smooth areas, edges and noise, so that clipping and rounding are exercised."""
    base = np.linspace(0, 255, width * height * channels).reshape(height, width, channels)
    grain = rng.integers(-120, 120, (height, width, channels))
    blocks = 255 * (np.indices((height, width)).sum(0) // 5 % 2)[..., None]
    return np.where(rng.random((height, width, 1)) < 0.3, blocks, np.clip(base + grain, 0, 255)).astype(np.uint8)


def png16(values, colour_type):
    """A PNG with 16 bits per channel, which Pillow cannot write in colour."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def files(rng):
    """(name, bytes, greatest difference allowed) of every kind of file."""
    rgb = Image.fromarray(noise(rng, 61, 47))
    smooth = rgb.resize((97, 75), Image.BICUBIC).resize((61, 47), Image.BICUBIC)
    alpha = Image.fromarray(noise(rng, 61, 47, 4), "RGBA")
    exif = {o: Image.Exif() for o in range(1, 9)}
    for orientation, block in exif.items():
        block[0x0112] = orientation

    def encode(image, kind, **options):
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    yield "rgb.png", encode(rgb, "PNG"), 0
    yield "grey.png", encode(rgb.convert("L"), "PNG"), 0
    yield "bit.png", encode(rgb.convert("1"), "PNG"), 0
    yield "palette.png", encode(rgb.quantize(200), "PNG"), 0
    yield "palette16.png", encode(rgb.quantize(16), "PNG"), 0
    yield "palette_clear.png", encode(rgb.quantize(200), "PNG", transparency=3), 0
    yield "grey_alpha.png", encode(alpha.convert("LA"), "PNG"), 0
    yield "rgba.png", encode(alpha, "PNG"), 0
    yield "rgb_clear.png", encode(rgb, "PNG", transparency=(1, 2, 3)), 0
    deep = rng.integers(0, 65536, (9, 13, 4))
    yield "rgb16.png", png16(deep[..., :3], 2), 0
    yield "grey_alpha16.png", png16(deep[..., :2], 4), 0
    yield "rgba16.png", png16(deep, 6), 0
    for orientation, block in exif.items():
        yield f"exif{orientation}.png", encode(rgb, "PNG", exif=block), 0
    yield "exif6.webp", encode(rgb, "WEBP", lossless=True, exif=exif[6]), 0
    yield "lossless.webp", encode(rgb, "WEBP", lossless=True), 0
    yield "alpha.webp", encode(alpha, "WEBP", lossless=True, exact=True), 0
    yield "lossy.webp", encode(smooth, "WEBP", quality=80), 0
    yield "444.jpg", encode(smooth, "JPEG", quality=90, subsampling=0), 3
    yield "420.jpg", encode(smooth, "JPEG", quality=90, subsampling=2), 17
    yield "progressive.jpg", encode(smooth, "JPEG", quality=90, progressive=True, subsampling=0), 3
    yield "grey.jpg", encode(smooth.convert("L"), "JPEG", quality=90), 3
    yield "cmyk.jpg", encode(smooth.convert("CMYK"), "JPEG", quality=90), 3
    for orientation, block in exif.items():
        yield f"exif{orientation}.jpg", encode(smooth, "JPEG", quality=95, subsampling=0, exif=block), 3


def same(ours, theirs):
    """Whether CLIPImageProcessor does the same with both folders' preprocessor_config.json."""
    from transformers import CLIPImageProcessor

    image = Image.fromarray(noise(np.random.default_rng(5), 60, 60))
    a, b = (CLIPImageProcessor.from_pretrained(folder)(image, return_tensors="np")["pixel_values"] for folder in (ours, theirs))
    return np.array_equal(a, b)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--same", type=Path, nargs="+", metavar="DIR", help="does each pair of preprocessor configs mean the same?")
    args = parser.parse_args()
    if args.same:
        for ours, theirs in zip(args.same[::2], args.same[1::2]):
            print("same" if same(ours, theirs) else "different")
        return
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    rng, draw = np.random.default_rng(0), random.Random(0)
    cases = {"resize": [], "preprocess": [], "decode": []}

    sizes = [(1, 1, 5, 5), (1, 40, 8, 8), (300, 3, 20, 2), (64, 64, 64, 20), (64, 64, 20, 64), (50, 400, 40, 100)]
    while len(sizes) < 80:
        sizes.append(tuple(int(2 ** draw.uniform(1, 8.3)) for _ in range(4)))
    filters = [Image.BICUBIC] * 3 + [Image.BILINEAR, Image.LANCZOS]
    for index, (width, height, to_width, to_height) in enumerate(sizes):
        image = Image.fromarray(noise(rng, width, height))
        resample = filters[index % len(filters)]
        image.save(out / f"resize{index}.png")
        expected = image.resize((to_width, to_height), resample)
        (out / f"resize{index}.rgb").write_bytes(expected.tobytes())
        cases["resize"].append({"file": f"resize{index}.png", "expected": f"resize{index}.rgb",
                                "width": to_width, "height": to_height, "filter": int(resample)})

    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    configs = [
        {"size": {"shortest_edge": 48}, "crop_size": 48},
        {"size": {"shortest_edge": 32}, "crop_size": 48},
        {"size": 49, "crop_size": {"height": 33, "width": 33}},
        {"size": {"height": 40, "width": 40}, "do_center_crop": False},
        {"do_resize": False, "crop_size": 60},
    ]
    for index in range(40):
        config = configs[index % len(configs)]
        image = Image.fromarray(noise(rng, draw.randint(20, 150), draw.randint(20, 150)))
        image.save(out / f"preprocess{index}.png")
        processor = CLIPImageProcessorPil(**config)
        processor.save_pretrained(out / f"processor{index}")
        array = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        if not np.array_equal(array, array.astype(np.uint8)):
            raise ValueError("pixels are not whole numbers")
        (out / f"preprocess{index}.rgb").write_bytes(array.astype(np.uint8).transpose(1, 2, 0).tobytes())
        cases["preprocess"].append({"file": f"preprocess{index}.png", "expected": f"preprocess{index}.rgb",
                                    "config": f"processor{index}/preprocessor_config.json"})

    for name, data, tolerance in files(rng):
        (out / name).write_bytes(data)
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        (out / f"{name}.rgb").write_bytes(image.tobytes())
        cases["decode"].append({"file": name, "expected": f"{name}.rgb", "width": image.width,
                                "height": image.height, "tolerance": tolerance})
    (out / "pictures.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
