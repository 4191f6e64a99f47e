"""The files of bench_data.py: the same pictures and captions as Parquet, as WebDataset tars and as MDS shards.

Pictures are drawn, since none may be downloaded: smooth noise whose amplitude falls with its frequency, as in
photographs, shapes with edges, and the grain of a sensor, so that JPEG spends about as many bytes on them as on
photographs of that size. Two sets: `large`, 800 px on the longer side, quality 90, 4:2:0 (100 to 200 KB each), as
shops serve them; `small`, 288 x 288 px, quality 95, as `data/prepare` cuts them before training to 224 px.
Captions are 8 to 40 tokens of words from CLIP's vocabulary, as long as product titles are.

`bench_data_files.py --out DIR --set large --pictures N` writes, unless they are there,

  parquet/*.parquet   columns image (binary), captions (list of one string), product_id; by pyarrow, row groups of
                      128 rows in pages of about a MiB; read by vlclip and by Hugging Face datasets
  tar/*.tar           N.jpg and N.txt, as img2dataset writes and open_clip reads
  mds/                columns image (bytes) and text (str), as MosaicML Streaming writes
"""

import argparse
import gzip
import io
import json
import multiprocessing
import shutil
import tarfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHARDS = 16
ROW_GROUP = 128
CANVAS_PX = 1200
SETS = {
    "large": {"sizes": [(800, 800), (800, 600), (600, 800)], "quality": 90, "page_rows": 8},
    "small": {"sizes": [(288, 288)], "quality": 95, "page_rows": 32},
}


@cache
def canvases():
    """Four noise fields to cut pictures from, and grain."""
    rng = np.random.default_rng(0)
    fields = []
    for _ in range(4):
        field = np.full((CANVAS_PX, CANVAS_PX, 3), 128, np.float32)
        cells, amplitude = 3, 62.0
        while cells < CANVAS_PX:
            grid = rng.standard_normal((cells, cells, 3)).astype(np.float32)
            grid[..., 1:] = 0.8 * grid[..., :1] + 0.35 * grid[..., 1:]  # colours vary less than brightness
            for channel in range(3):
                plane = Image.fromarray(grid[..., channel]).resize((CANVAS_PX, CANVAS_PX), Image.Resampling.BICUBIC)
                field[..., channel] += amplitude * np.asarray(plane)
            cells, amplitude = cells * 2, amplitude * 0.62
        fields.append(Image.fromarray(np.clip(field, 0, 255).astype(np.uint8)))
    return fields, rng.normal(0, 4.0, (CANVAS_PX, CANVAS_PX, 1)).astype(np.int16)


def draw_picture(rng, width, height):
    fields, grain = canvases()
    zoom = rng.uniform(1.0, 1.5)
    w, h = int(width * zoom), int(height * zoom)
    x, y = rng.integers(0, CANVAS_PX - w + 1), rng.integers(0, CANVAS_PX - h + 1)
    image = fields[rng.integers(len(fields))].crop((x, y, x + w, y + h)).resize((width, height), Image.Resampling.BILINEAR)
    image = image.transpose(Image.Transpose(int(rng.integers(0, 2))))
    draw, side = ImageDraw.Draw(image, "RGBA"), max(width, height)
    for _ in range(rng.integers(5, 15)):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(side // 40, side // 3, 2)
        colour = (*(int(value) for value in rng.integers(0, 256, 3)), int(rng.integers(60, 220)))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)([x, y, x + w, y + h], fill=colour)
    x, y = rng.integers(0, CANVAS_PX - width + 1), rng.integers(0, CANVAS_PX - height + 1)
    pixels = np.asarray(image).astype(np.int16) + grain[y : y + height, x : x + width]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@cache
def words():
    # Found without importing it, which takes longer than drawing hundreds of pictures.
    table = Path(find_spec("open_clip").origin).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(table.read_bytes()).decode("utf-8").split("\n")[1:48895]
    joined = ["".join(merge.split()) for merge in merges]
    return [word[: -len("</w>")] for word in joined if word.endswith("</w>") and word[: -len("</w>")].isalpha()]


def sample(kind, number):
    """Picture `number` of a set, encoded, and its caption."""
    rng = np.random.default_rng([list(SETS).index(kind), number])
    sizes = SETS[kind]["sizes"]
    out = io.BytesIO()
    picture = draw_picture(rng, *sizes[rng.integers(len(sizes))])
    picture.save(out, "JPEG", quality=SETS[kind]["quality"], subsampling="4:2:0")
    # Frequent words more often: merges come in the order of frequency.
    picks = (len(words()) * rng.random(rng.integers(7, 32)) ** 3).astype(int)
    return out.getvalue(), " ".join(words()[pick] for pick in picks)


def write_shard(task):
    """One Parquet file and one tar of the same samples; its samples go on to the MDS writer."""
    out, kind, shard, numbers = task
    import pyarrow as pa
    import pyarrow.parquet as pq

    samples = [sample(kind, number) for number in numbers]
    table = pa.table({
        "product_id": [str(number) for number in numbers],
        "image": pa.array([image for image, _ in samples], pa.binary()),
        "captions": [[caption] for _, caption in samples],
    })
    # Pictures do not shrink further, and pages of about a MiB let a reader take few rows at a time: by itself
    # pyarrow puts 1,024 rows into a page, whatever their size.
    pq.write_table(
        table, out / f"parquet/{shard:05}.parquet", row_group_size=ROW_GROUP, write_batch_size=SETS[kind]["page_rows"],
        compression="none", use_dictionary=False, write_page_index=True,
    )
    with tarfile.open(out / f"tar/{shard:05}.tar", "w") as tar:
        for number, (image, caption) in zip(numbers, samples):
            for suffix, data in [("jpg", image), ("txt", caption.encode())]:
                entry = tarfile.TarInfo(f"{number:09}.{suffix}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return sum(len(image) for image, _ in samples)


def write_mds(out):
    import pyarrow.parquet as pq
    from streaming import MDSWriter

    with MDSWriter(out=str(out / "mds"), columns={"image": "bytes", "text": "str"}) as writer:
        for path in sorted((out / "parquet").glob("*.parquet")):
            table = pq.read_table(path)
            for image, captions in zip(table["image"], table["captions"]):
                writer.write({"image": image.as_py(), "text": captions[0].as_py()})


def files(out, kind, num_pictures):
    """The folder with the set, written unless it is there, and what is in it."""
    out = Path(out) / f"{kind}-{num_pictures}"
    if not (out / "set.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        for folder in ["parquet", "tar"]:
            (out / folder).mkdir(parents=True)
        numbers = np.array_split(np.arange(num_pictures), SHARDS)
        tasks = [(out, kind, shard, [int(number) for number in part]) for shard, part in enumerate(numbers)]
        canvases(), words()  # before the fork, so that each is made once
        with multiprocessing.get_context("fork").Pool() as pool:
            total = sum(pool.imap_unordered(write_shard, tasks))
        write_mds(out)
        (out / "set.json").write_text(json.dumps({"pictures": num_pictures, "bytes": total}))
    return out, json.loads((out / "set.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", choices=list(SETS), required=True)
    parser.add_argument("--pictures", type=int, required=True)
    args = parser.parse_args()
    out, found = files(args.out, args.set, args.pictures)
    print(f"{out}: {found['pictures']} pictures, {found['bytes'] / found['pictures'] / 1e3:.1f} KB each")


if __name__ == "__main__":
    main()
