"""Pictures decoded, resized and preprocessed by Pillow and transformers: `pictures.py --out DIR`.

What is compared, and why: retrieval figures move when evaluation resizes pictures otherwise than the
program the model came from. So resizing must equal Pillow's bit for bit (its filters, rounding and order of
passes), the whole transform `CLIPImageProcessorPil`'s or open_clip's, and decoding Pillow's `convert("RGB")`
after `exif_transpose`, for every kind of file; JPEG is written as Pillow's `save(quality=...)` writes it.
Colours change as torchvision changes PIL pictures.

`pictures.py --same DIR DIR ...` prints `same` per pair when CLIPImageProcessor does the same by both configs.

Writes files and pictures.json: {resize, preprocess, decode, colour, encode}, each a list of cases; pixels lie beside
in .rgb files, rows of RGB bytes. Of large pictures a sha256 stands for the pixels.
"""

import argparse
import hashlib
import io
import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps


def noise(rng, width, height, channels=3):
    """Smooth areas, edges and noise, so that clipping and rounding are exercised."""
    base = np.linspace(0, 255, width * height * channels).reshape(height, width, channels)
    grain = rng.integers(-120, 120, (height, width, channels))
    blocks = 255 * (np.indices((height, width)).sum(0) // 5 % 2)[..., None]
    return np.where(rng.random((height, width, 1)) < 0.3, blocks, np.clip(base + grain, 0, 255)).astype(np.uint8)


def png(header, rows):
    """A PNG of a header and its filtered rows."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png16(values, colour_type):
    """A PNG with 16 bits per channel, which Pillow cannot write in colour."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0), rows)


def open_clip_cases(rng, draw, out):
    """open_clip's own evaluation transform by each preprocess_cfg."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    for index in range(36):
        cfg = {"size": [32, 33, 48][index % 3], "resize_mode": ["shortest", "longest", "squash"][index // 3 % 3],
               "interpolation": ["bicubic", "bilinear"][index % 2], "fill_color": [0, 127][index // 9 % 2]}
        transform = image_transform_v2(PreprocessCfg(**cfg, mean=(0, 0, 0), std=(1, 1, 1)), is_train=False)
        image = Image.fromarray(noise(rng, draw.randint(20, 150), draw.randint(20, 150)))
        image.save(out / f"open_clip{index}.png")
        array = (transform(image).numpy() * 255).round().astype(np.uint8)
        (out / f"open_clip{index}.rgb").write_bytes(array.transpose(1, 2, 0).tobytes())
        (out / f"open_clip{index}.json").write_text(json.dumps({"preprocess_cfg": cfg}))
        yield {"file": f"open_clip{index}.png", "expected": f"open_clip{index}.rgb", "config": f"open_clip{index}.json"}


def colour_cases(rng, draw, out):
    """torchvision's changes of colour, one after another as ColorJitter applies them."""
    import torchvision.transforms.functional as F

    names = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation,
             "hue": F.adjust_hue, "grey": lambda image, _: F.to_grayscale(image, 3)}
    for index in range(60):
        image = natural(rng, 64, 48) if index % 2 else Image.fromarray(noise(rng, 64, 48))
        (out / f"colour{index}.rgb").write_bytes(image.tobytes())
        chosen = draw.sample(list(names), [1, 1, 4, 5][index % 4])
        changes = [(name, draw.uniform(-0.5, 0.5) if name == "hue" else draw.uniform(0, 2)) for name in chosen]
        if index % 10 == 0:
            changes = [(name, [0.0, 1.0, 2.5][index // 10 % 3] if name != "hue" else 0.5) for name, _ in changes]
        for name, amount in changes:
            image = names[name](image, amount)
        (out / f"colour{index}.expected").write_bytes(image.tobytes())
        yield {"file": f"colour{index}.rgb", "expected": f"colour{index}.expected", "changes": changes}
    # Every colour there is (every 3rd red), so that no rounding is left untried.
    red, green, blue = np.meshgrid(np.arange(0, 256, 3), np.arange(256), np.arange(256), indexing="ij")
    image = Image.fromarray(np.stack([red, green, blue], -1).reshape(256 * 86, 256, 3).astype(np.uint8))
    (out / "colours.rgb").write_bytes(image.tobytes())
    for index, change in enumerate([("hue", 0.17), ("hue", -0.3), ("saturation", 0.37), ("saturation", 1.7), ("grey", 0)]):
        (out / f"colours{index}.expected").write_bytes(names[change[0]](image, change[1]).tobytes())
        yield {"file": "colours.rgb", "expected": f"colours{index}.expected", "changes": [change]}


def natural(rng, width, height):
    """Like a photograph: octaves of smooth noise with mostly common colours, shapes, a little grain."""
    octaves = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 8):
        coarse = rng.normal(size=(2**octave + 1, 2**octave + 1, 3)).astype(np.float32)
        bands = [Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC) for c in range(3)]
        octaves += np.stack([np.asarray(band) for band in bands], -1) * 0.6**octave
    octaves = octaves.mean(-1, keepdims=True) * 0.7 + octaves * 0.3
    octaves = (octaves - octaves.mean()) / (octaves.std() + 1e-6) * 55 + 120 + rng.normal(size=octaves.shape) * 3
    image = Image.fromarray(octaves.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for index in range(12):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(1, width // 3 + 2), rng.integers(1, height // 3 + 2)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        (pen.ellipse if index % 2 else pen.rectangle)([x, y, x + w, y + h], fill=colour)
    return image


def interlaced(image, kind):
    """A PNG in the seven passes of Adam7, which Pillow cannot write."""
    values = np.asarray(image)
    values = values.reshape(*values.shape[:2], -1)
    rows = b""
    for x, y, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = values[y::dy, x::dx]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    return png(struct.pack(">IIBBBBB", image.width, image.height, 8, kind, 0, 0, 1), rows)


def encode(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def jpegs(rng, draw):
    """(name, bytes): every chroma sampling, coding, quality, orientation; sizes from one pixel up."""
    sizes = [(1, 1), (1, 7), (9, 1), (2, 300), (700, 3), (8, 8), (16, 17), (61, 47), (1500, 1000), (1100, 1400)]
    for width, height in sizes:
        image = natural(rng, width, height)
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            yield f"{width}x{height}-{subsampling}", encode(image, "JPEG", quality=90, subsampling=subsampling)
        yield f"{width}x{height}-progressive", encode(image, "JPEG", quality=85, progressive=True)
        yield f"{width}x{height}-grey", encode(image.convert("L"), "JPEG", quality=80)
        yield f"{width}x{height}-cmyk", encode(image.convert("CMYK"), "JPEG", quality=90)
    for index in range(90):
        image = natural(rng, int(2 ** draw.uniform(2, 9)), int(2 ** draw.uniform(2, 9)))
        if index % 3 == 0:
            image = Image.fromarray(noise(rng, image.width, image.height))
        quality = [1, 10, 30, 50, 75, 85, 90, 95, 100][index % 9]
        options = {"progressive": index % 4 == 1, "optimize": index % 5 == 2, "keep_rgb": index % 7 == 3}
        if index % 6 == 5:
            options["restart_marker_blocks"] = 3
        if not options["keep_rgb"]:
            options["subsampling"] = index // 9 % 3
        yield f"mixed{index}", encode(image, "JPEG", quality=quality, **options)
    for orientation in range(1, 9):
        for width, height in ((61, 47), (35, 80), (300, 200)):
            image = natural(rng, width, height)
            options = {"quality": 92, "exif": exif(orientation)}
            yield f"exif{orientation}-{width}x{height}", encode(image, "JPEG", subsampling=2, **options)
    # Samplings that Pillow does not write: 4:2:0's factors of luma, in the frame header, changed to others
    # (the data then ends early or holds more, which libjpeg fills up or passes over).
    for name, factors in (("4:4:0", 0x12), ("4:1:1", 0x41), ("4:1:0", 0x42), ("4:2:0", 0x22)):
        for size in ((64, 64), (97, 75)):
            data = bytearray(encode(natural(rng, *size), "JPEG", quality=90, subsampling=2))
            frame = data.index(b"\xff\xc0")
            data[frame + 11] = factors
            yield f"{name}-{size[0]}", bytes(data)
    # Adobe's CMYK comes as YCCK by its marker: transform 2 instead of 0.
    data = encode(natural(rng, 90, 60).convert("CMYK"), "JPEG", quality=90)
    yield "ycck", data.replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2", 1)
    # Damage within the entropy-coded data: libjpeg warns and goes on, and so does Pillow.
    for index in range(12):
        data = bytearray(encode(natural(rng, 120, 90), "JPEG", quality=80, progressive=index % 2 == 1))
        start = data.rindex(b"\xff\xda") + 20
        for _ in range(3):
            data[draw.randrange(start, len(data) - 2)] = draw.randrange(255)
        yield f"damaged{index}", bytes(data)


def others(rng, draw):
    """(name, bytes): PNG of every colour type, WebP of every coding."""
    sizes = [(1, 1), (1, 9), (300, 2), (61, 47), (130, 90), (640, 400)]
    for width, height in sizes:
        rgb = Image.fromarray(noise(rng, width, height))
        alpha = Image.fromarray(noise(rng, width, height, 4), "RGBA")
        name = f"{width}x{height}"
        yield f"{name}-rgb.png", encode(rgb, "PNG")
        yield f"{name}-grey.png", encode(rgb.convert("L"), "PNG")
        yield f"{name}-bit.png", encode(rgb.convert("1"), "PNG")
        for colours in (2, 4, 16, 200):
            yield f"{name}-palette{colours}.png", encode(rgb.quantize(colours), "PNG")
        yield f"{name}-palette-clear.png", encode(rgb.quantize(200), "PNG", transparency=0)
        yield f"{name}-grey-alpha.png", encode(alpha.convert("LA"), "PNG")
        yield f"{name}-rgba.png", encode(alpha, "PNG")
        yield f"{name}-rgb-clear.png", encode(rgb, "PNG", transparency=(1, 2, 3))
        yield f"{name}-grey-clear.png", encode(rgb.convert("L"), "PNG", transparency=7)
        yield f"{name}-interlaced.png", interlaced(rgb, 2)
        yield f"{name}-interlaced-alpha.png", interlaced(alpha, 6)
        deep = rng.integers(0, 65536, (height, width, 4))
        yield f"{name}-rgb16.png", png16(deep[..., :3], 2)
        yield f"{name}-grey-alpha16.png", png16(deep[..., :2], 4)
        yield f"{name}-rgba16.png", png16(deep, 6)
        smooth = natural(rng, width, height)
        yield f"{name}-lossless.webp", encode(rgb, "WEBP", lossless=True)
        yield f"{name}-alpha.webp", encode(alpha, "WEBP", lossless=True, exact=True)
        for quality in (20, 80, 100):
            yield f"{name}-lossy{quality}.webp", encode(smooth, "WEBP", quality=quality)
        faded = smooth.convert("RGBA")
        faded.putalpha(rgb.convert("L"))
        yield f"{name}-lossy-alpha.webp", encode(faded, "WEBP", quality=80, exact=True)
    for orientation in range(1, 9):
        rgb = Image.fromarray(noise(rng, 61, 47))
        yield f"exif{orientation}.png", encode(rgb, "PNG", exif=exif(orientation))
        yield f"exif{orientation}.webp", encode(rgb, "WEBP", lossless=True, exif=exif(orientation))


def encode_cases(rng, draw, out):
    """Pixels as JPEG of every quality class, whole and as a crop of a larger picture."""
    sizes = [(1, 1), (1, 9), (7, 1), (8, 8), (15, 17), (61, 47), (288, 288), (640, 333)]
    for index, (width, height) in enumerate(sizes):
        kind = natural if index % 2 == 0 else lambda *size: Image.fromarray(noise(*size))
        left, top, right, bottom = (draw.randint(0, 20) for _ in range(4))
        whole = kind(rng, left + width + right, top + height + bottom)
        (out / f"encode{index}.rgb").write_bytes(whole.tobytes())
        crop = whole.crop((left, top, left + width, top + height))
        for quality in (1, 10, 24, 49, 50, 75, 90, 95, 100):
            name = f"encode{index}-{quality}.jpg"
            (out / name).write_bytes(encode(crop, "JPEG", quality=quality))
            yield {"file": f"encode{index}.rgb", "expected": name, "quality": quality, "whole_width": whole.width,
                   "left": left, "top": top, "width": width, "height": height}


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
    cases = {"resize": [], "preprocess": [], "decode": [], "fast": []}

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
        {"size": {"shortest_edge": 40, "longest_edge": 70}, "crop_size": 50},
        {"size": {"max_height": 45, "max_width": 45}, "crop_size": 48},
    ]
    for index in range(42):
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

    cases["preprocess"] += open_clip_cases(rng, draw, out)
    cases["colour"] = list(colour_cases(rng, draw, out))
    # Of its own draws, so that the other cases stay as they are.
    cases["encode"] = list(encode_cases(np.random.default_rng(1), random.Random(1), out))

    # Through decoding and the evaluation transform, file by file.
    clip = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size=64)
    for name, data in [*jpegs(rng, draw), *others(rng, draw)]:
        (out / name).write_bytes(data)
        try:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        except OSError as error:
            cases["decode"].append({"file": name, "error": str(error)})
            continue
        # Without what `info` says of transparency: transformers would lay it over white once more.
        image = Image.fromarray(np.asarray(image))
        array = clip(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        (out / f"{name}.clip").write_bytes(array.astype(np.uint8).transpose(1, 2, 0).tobytes())
        cases["decode"].append({"file": name, "width": image.width, "height": image.height,
                                "sha256": hashlib.sha256(image.tobytes()).hexdigest(), "evaluated": f"{name}.clip"})

    # Photographs large enough that the fast path scales them while it decodes.
    for index in range(24):
        size = [(800, 800), (1200, 900), (640, 960), (288, 288)][index % 4]
        options = {"quality": [90, 80, 95][index % 3], "progressive": index % 5 == 4, "exif": exif(index % 8 + 1)}
        data = encode(natural(rng, *size), "JPEG", subsampling=[2, 2, 1, 0][index // 4 % 4], **options)
        (out / f"fast{index}.jpg").write_bytes(data)
        cases["fast"].append({"file": f"fast{index}.jpg"})
    (out / "pictures.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
