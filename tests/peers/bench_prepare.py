"""`vlclip prepare` beside a straightforward Python script on the sample's catalogue, on the same cores.

Both cut the given box with a margin out of each picture, encode it as JPEG of quality 90, fill captions from templates,
hash the crop (imagehash) so that near-duplicates can be grouped, split by a hash of the id and write Parquet. The
script is what one writes in an afternoon: pyarrow reads batches, two processes of PIL cut and encode, pyarrow writes;
it neither groups the hashes nor can it be interrupted. --no-hashes leaves hashing out on both sides.

The programs take turns, --rounds times. Printed is a Markdown table of medians: products per second of wall time, CPU
seconds per 1,000 products, peak memory (proportional set size of all processes, sampled four times a second), and
below it the memory in the course of the last run. --enlarge 5 makes pictures of 800 x 800 pixels out of the sample's.

    make bench-prepare ARGS="--products 20000"
    make bench-prepare ARGS="--products 2000 --enlarge 5"
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench_data import memory

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VLCLIP = TARGET / "release/vlclip"
BATCH = 64


def prepare_batch(task):
    """Shard rows of a batch of catalogue rows."""
    from PIL import Image

    rows, hashes = task
    out = []
    for row in rows:
        picture = Image.open(io.BytesIO(row["image"])).convert("RGB")
        x0, y0, x1, y1 = (row[side] for side in ("x0", "y0", "x1", "y1"))
        margin = 0.06 * max(x1 - x0, y1 - y0)
        crop = picture.crop((
            max(0, round(x0 - margin)), max(0, round(y0 - margin)),
            min(picture.width, round(x1 + margin)), min(picture.height, round(y1 + margin)),
        ))
        if min(crop.size) > 288:
            scale = 288 / min(crop.size)
            crop = crop.resize((round(crop.width * scale), round(crop.height * scale)), Image.BICUBIC)
        jpeg = io.BytesIO()
        crop.save(jpeg, "JPEG", quality=90)
        captions = [
            row["description"],
            f"{row['color']} {row['material']} {row['product_type']}",
            f"{row['product_type']} in {row['color']}, {row['pattern']}",
            f"{row['size']} {row['pattern']} {row['material']} {row['product_type']}",
        ]
        phash = None
        if hashes:
            import imagehash

            phash = str(imagehash.phash(crop))
        share = int(hashlib.sha256(row["product_id"].encode()).hexdigest()[:8], 16) / 2**32
        split = "train" if share < 0.8 else "val" if share < 0.9 else "test"
        out.append((split, {
            "product_id": row["product_id"], "image": jpeg.getvalue(), "image_raw": row["image"], "captions": captions,
            "caption_raw": row["title"], "caption_refined": captions[0], "product_type": row["product_type"],
            "box": [x0, y0, x1, y1], "phash": phash,
        }))
    return out


def script(catalogue, out, hashes):
    """The Python script: runs in a process of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writers, waiting = {}, {"train": [], "val": [], "test": []}

    def flush(split):
        table = pa.Table.from_pylist(waiting[split])
        waiting[split] = []
        if split not in writers:
            (out / split).mkdir(parents=True)
            writers[split] = pq.ParquetWriter(out / split / "part-00000.parquet", table.schema)
        writers[split].write_table(table)

    batches = ((batch.to_pylist(), hashes) for batch in pq.ParquetFile(catalogue).iter_batches(BATCH))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for rows in pool.imap(prepare_batch, batches):
            for split, row in rows:
                waiting[split].append(row)
                if len(waiting[split]) == BATCH:
                    flush(split)
    for split in list(waiting):
        if waiting[split]:
            flush(split)
    for writer in writers.values():
        writer.close()


def enlarge(catalogue, times, out):
    """The catalogue with pictures and boxes as many times as large."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    def larger(row):
        picture = Image.open(io.BytesIO(row["image"])).convert("RGB")
        picture = picture.resize((picture.width * times, picture.height * times), Image.BICUBIC)
        jpeg = io.BytesIO()
        picture.save(jpeg, "JPEG", quality=90)
        return {**row, "image": jpeg.getvalue(), **{side: row[side] * times for side in ("x0", "y0", "x1", "y1")}}

    file = pq.ParquetFile(catalogue)
    with pq.ParquetWriter(out.with_suffix(".partial"), file.schema_arrow) as writer:
        for batch in file.iter_batches(BATCH):
            writer.write_table(pa.Table.from_pylist([larger(row) for row in batch.to_pylist()], file.schema_arrow))
    out.with_suffix(".partial").rename(out)


def watch(program, held):
    """Notes the memory of a program and its children four times a second until it ends."""
    while program.returncode is None:
        held.append(memory(program.pid))
        time.sleep(0.25)


def run(command):
    """Wall seconds, CPU seconds and bytes in the course of time of a command and its children."""
    before, start, held = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), []
    program = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    threading.Thread(target=watch, args=(program, held), daemon=True).start()
    program.wait()
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if program.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} ended with {program.returncode}:\n{program.stderr.read()[-3000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, held


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--enlarge", type=int, default=1, help="sides of the pictures, as many times as the sample's")
    parser.add_argument("--no-hashes", action="store_true", help="neither side hashes crops")
    parser.add_argument("--script", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.script:
        return script(*args.script, not args.no_hashes)
    if not VLCLIP.is_file():
        sys.exit(f"error: `{VLCLIP}` is missing: cargo build --release --bins")
    sample = TARGET / f"bench-prepare-{args.products}"
    subprocess.run([VLCLIP, "sample", "--out", sample, "--products", str(args.products)], cwd=ROOT, check=True)
    catalogue = sample / "catalogue.parquet"
    if args.enlarge > 1:
        catalogue, small = sample / f"catalogue-{args.enlarge}.parquet", catalogue
        if not catalogue.exists():
            enlarge(small, args.enlarge, catalogue)
    hashes = ["--no-hashes"] if args.no_hashes else []
    found = {"vlclip prepare": [], "Python, 2 processes": []}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory(dir=TARGET) as home:
            sets = [f"catalogue.paths={catalogue}", f"output.dir={home}/shards", f"duplicates.enabled={str(not hashes).lower()}"]
            sets = [part for value in sets for part in ("--set", value)]
            found["vlclip prepare"].append(run([VLCLIP, "prepare", "configs/prepare/sample.yaml", *sets]))
            index = json.loads(Path(home, "shards/index.json").read_text())
            assert index["counts"]["rows"] == args.products, index["counts"]
            command = [sys.executable, __file__, "--script", catalogue, Path(home, "script"), *hashes]
            found["Python, 2 processes"].append(run(command))
            shutil.rmtree(Path(home, "script"))
    medians = {
        name: [statistics.median(values) for values in zip(*((wall, cpu, max(held)) for wall, cpu, held in runs))]
        for name, runs in found.items()
    }
    base = medians["Python, 2 processes"]
    print("| program | products/s | ratio | CPU s per 1,000 | ratio | peak MiB |")
    print("|---|---|---|---|---|---|")
    for name, (wall, cpu, peak) in medians.items():
        print(f"| {name} | {args.products / wall:.0f} | {base[0] / wall:.2f} | {1000 * cpu / args.products:.2f} | {base[1] / cpu:.2f} | {peak / 2**20:.0f} |")
    for name, runs in found.items():
        held = runs[-1][2]
        tenths = ", ".join(f"{held[len(held) * tenth // 10] / 2**20:.0f}" for tenth in range(10))
        print(f"{name}: MiB held at each tenth of the last run: {tenths}")


if __name__ == "__main__":
    main()
