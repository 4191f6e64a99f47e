"""Shards with one thing wrong each, for the tests on error messages: `bad_shards.py --out DIR`.

no_image.parquet       64 rows, the picture's column is called `picture`
text_image.parquet     64 rows, `image` is text
empty.parquet          the right columns, no row
few.parquet            8 good rows
undecodable.parquet    128 rows; the pictures of rows 7 and 50 are cut off after 40 bytes
"""

import argparse
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(i):
    out = io.BytesIO()
    Image.new("RGB", (24, 24), (i % 256, 255 - i % 256, 3 * i % 256)).save(out, "PNG")
    return out.getvalue()


def rows(n):
    return pa.table({
        "product_id": [f"p{i}" for i in range(n)],
        "image": pa.array([picture(i) for i in range(n)], pa.binary()),
        "captions": [[f"red mug number {i}", f"mug {i}"] for i in range(n)],
    })


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out

    good = rows(64)
    pq.write_table(good.rename_columns(["product_id", "picture", "captions"]), out / "no_image.parquet")
    pq.write_table(good.set_column(1, "image", pa.array([f"{i}.jpg" for i in range(64)])), out / "text_image.parquet")
    pq.write_table(rows(8), out / "few.parquet")
    pq.write_table(good.slice(0, 0), out / "empty.parquet")
    table = rows(128)
    pictures = table["image"].to_pylist()
    for bad in (7, 50):
        pictures[bad] = pictures[bad][:40]
    pq.write_table(table.set_column(1, "image", pa.array(pictures, pa.binary())), out / "undecodable.parquet", row_group_size=32)


if __name__ == "__main__":
    main()
