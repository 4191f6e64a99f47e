"""Opens prepared shards of the sample with the libraries their readers use: names, types and values.

Usage: check_shards.py SHARDS_DIR TOKENIZER_DIR
Ends with status 0 and the line `ok`, or with an assertion that says what differs.
"""

import io
import os
import sys
import tempfile
from pathlib import Path

import datasets
import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from transformers import CLIPTokenizerFast, PreTrainedTokenizerFast

ENTRY = pa.struct([pa.field("key", pa.string(), False), pa.field("value", pa.string(), False)])
BOX = pa.struct([(side, pa.float32()) for side in ("x0", "y0", "x1", "y1")])
SCHEMA = {
    "product_id": pa.string(),
    "group": pa.string(),
    "image": pa.binary(),
    "image_raw": pa.binary(),
    "captions": pa.list_(pa.field("item", pa.string(), False)),
    "caption_raw": pa.string(),
    "caption_refined": pa.string(),
    "product_type": pa.string(),
    "attributes": pa.list_(pa.field("item", ENTRY, False)),
    "grounding": pa.string(),
    "box": BOX,
    "box_score": pa.float32(),
    "caption_rounds": pa.int32(),
    "caption_stop": pa.string(),
    "caption_model": pa.string(),
}


# Columns with nothing in them to compress: pictures, numbers, words out of a few.
PLAIN = {"image", "image_raw", "product_type", "grounding", "box_score", "caption_rounds", "caption_stop"}
PLAIN |= {"caption_model"} | {f"box.{corner}" for corner in ("x0", "y0", "x1", "y1")}


def equal(found, expected, what):
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


def check_pyarrow(files):
    for file in files:
        schema = pq.read_schema(file)
        equal({field.name: field.type for field in schema}, SCHEMA, f"pyarrow schema of {file}")
        metadata = pq.ParquetFile(file).metadata
        assert b"vlclip.shard_contract" in metadata.metadata, f"{file}: no contract version"
        for group in range(metadata.num_row_groups):
            assert metadata.row_group(group).num_rows <= 64, f"{file}: row group {group} too large"
            for column in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(column)
                name = chunk.path_in_schema
                equal(chunk.compression, "UNCOMPRESSED" if name in PLAIN else "ZSTD", name)
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    for row in rows:
        scene, crop = (Image.open(io.BytesIO(row[name])) for name in ("image_raw", "image"))
        box = row["box"]
        assert 0 <= box["x0"] < box["x1"] <= scene.width, f"box {box} in {scene.size}"
        assert 0 <= box["y0"] < box["y1"] <= scene.height, f"box {box} in {scene.size}"
        assert crop.width >= box["x1"] - box["x0"], f"crop {crop.size} of box {box}"
        equal(crop.mode, "RGB", "crop mode")
        equal(row["captions"][0], row["caption_refined"], "first caption")
    return rows


def check_duckdb(files, rows):
    files = [str(file) for file in files]
    relation = duckdb.read_parquet(files)
    types = dict(zip(relation.columns, map(str, relation.types)))
    expected = {
        "product_id": "VARCHAR",
        "image": "BLOB",
        "captions": "VARCHAR[]",
        "attributes": 'STRUCT("key" VARCHAR, "value" VARCHAR)[]',
        "box": "STRUCT(x0 FLOAT, y0 FLOAT, x1 FLOAT, y1 FLOAT)",
        "box_score": "FLOAT",
        "caption_rounds": "INTEGER",
    }
    equal({name: types[name] for name in expected}, expected, "DuckDB types")
    query = "select map_from_entries(attributes)['color'] from read_parquet($files)"
    colours = [colour for (colour,) in duckdb.execute(query, {"files": files}).fetchall()]
    known = [dict((a["key"], a["value"]) for a in row["attributes"])["color"] for row in rows]
    equal(sorted(colours), sorted(known), "colours through DuckDB")


def check_polars(files, rows):
    frame = polars.read_parquet(files)
    equal(frame.height, len(rows), "Polars rows")
    expected = {
        "product_id": polars.String,
        "image": polars.Binary,
        "captions": polars.List(polars.String),
        "attributes": polars.List(polars.Struct({"key": polars.String, "value": polars.String})),
        "box": polars.Struct(dict.fromkeys(("x0", "y0", "x1", "y1"), polars.Float32)),
        "caption_rounds": polars.Int32,
    }
    equal({name: frame.schema[name] for name in expected}, expected, "Polars types")
    equal(frame["caption_raw"].to_list(), [row["caption_raw"] for row in rows], "Polars titles")


def check_datasets(files, rows):
    with tempfile.TemporaryDirectory() as cache:
        files = [str(file) for file in files]
        data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
        equal(data.num_rows, len(rows), "datasets rows")
        equal(data.features["captions"].feature.dtype, "string", "datasets captions")
        equal(data.features["box"]["x0"].dtype, "float32", "datasets box")
        equal(data.features["image"].dtype, "binary", "datasets image")
        pictures = data.cast_column("image", datasets.Image())
        first = Image.open(io.BytesIO(rows[0]["image"]))
        equal(pictures[0]["image"].size, first.size, "datasets picture")


def check_tokenizer(folder, rows):
    texts = [text for row in rows for text in [row["caption_raw"], *row["captions"]]]
    texts += ["", "  Two   spaces\tand\nlines ", "don't", "déjà vu ★ 猫 2024"]
    plain = PreTrainedTokenizerFast.from_pretrained(folder)
    clip = CLIPTokenizerFast.from_pretrained(folder)
    equal((len(clip), clip.bos_token_id, clip.eos_token_id), (2048, 2046, 2047), "tokenizer ids")
    equal(plain(texts)["input_ids"], clip(texts)["input_ids"], "ids of the two tokenizer classes")
    for text, ids in zip(texts, clip(texts)["input_ids"]):
        equal((ids[0], ids[-1]), (2046, 2047), f"start and end of {text!r}")
    longest = max(len(clip(text)["input_ids"]) for row in rows for text in row["captions"])
    assert longest <= 48, f"the longest caption has {longest} tokens"


def main():
    folder = Path(sys.argv[1])
    for split in ("train", "val", "test"):
        files = sorted((folder / split).glob("*.parquet"))
        rows = check_pyarrow(files)
        check_duckdb(files, rows)
        check_polars(files, rows)
        check_datasets(files, rows)
        check_tokenizer(sys.argv[2], rows)
    print("ok")


if __name__ == "__main__":
    main()
    # The libraries' thread pools cannot always end in an interpreter that does.
    sys.stdout.flush()
    os._exit(0)
