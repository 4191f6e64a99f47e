"""Shards with and without page index and checksums, as pyarrow writes them."""

import argparse
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (number, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rows = range(30)
    table = pa.table(
        {
            "image": [png(i) for i in rows],
            "captions": [[f"red {i}"] for i in rows],
            "product_id": list(rows),
            "product_type": [None, None] + ["mug"] * 16 + ["lamp"] * 12,
        }
    )
    pq.write_table(table, out / "plain.parquet", row_group_size=10, compression="zstd")
    pq.write_table(
        table,
        out / "checked.parquet",
        row_group_size=10,
        write_page_index=True,
        write_page_checksum=True,
    )


if __name__ == "__main__":
    main()
