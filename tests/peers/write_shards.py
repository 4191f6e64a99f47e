"""The same small data set written as Parquet by every library people use: `write_shards.py --out DIR`.

What is compared, and why: each writer chooses its own types, encodings, compression and row groups for the
same columns. Whoever wrote a shard, the loader must give the same samples.

24 rows in the order of `rows()`: product ids p0..p11, each twice; PNG pictures; two captions each, except in
`*_text.parquet`, where `captions` is one string. An extra column `junk` plays no role. Writes one folder per
variant, and variants.json: [{name, columns}].
"""

import argparse
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

NUM_ROWS = 24


def rows():
    rng = np.random.default_rng(1)
    table = []
    for index in range(NUM_ROWS):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (20, 16, 3), dtype=np.uint8)).save(out, "PNG")
        product = index // 2
        table.append({
            "product_id": f"p{product}",
            "image": out.getvalue(),
            "captions": [f"red mug {index}", f"mug {product}"],
            "weight": 1.0 + index / 8,
            "junk": "x" * 50,
        })
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    table = rows()
    columns = {key: [row[key] for row in table] for key in table[0]}
    variants = []

    def variant(name, **roles):
        variants.append({"name": name, "columns": {"weight": "weight", **roles}})
        (out / name).mkdir(parents=True, exist_ok=True)
        return out / name / "data.parquet"

    import pyarrow as pa
    import pyarrow.parquet as pq

    def arrow(image=None, text=None, weight=None):
        image, text = image or pa.binary(), text or pa.string()
        return pa.table({
            "junk": columns["junk"],
            "product_id": pa.array(columns["product_id"], text),
            "image": pa.array(columns["image"], image),
            "captions": pa.array(columns["captions"], pa.list_(text)),
            "weight": pa.array(columns["weight"], weight or pa.float32()),
        })

    for compression in ["zstd", "snappy", "gzip", "brotli", "lz4", "none"]:
        pq.write_table(arrow(), variant(f"pyarrow_{compression}"), compression=compression, row_group_size=5)
    pq.write_table(arrow(pa.large_binary(), pa.large_string(), pa.float64()), variant("pyarrow_large"), row_group_size=7)
    pq.write_table(arrow(pa.binary_view(), pa.string_view()), variant("pyarrow_view"))
    pq.write_table(arrow(), variant("pyarrow_pages"), row_group_size=11, data_page_size=900, write_batch_size=1,
                   data_page_version="2.0", write_page_index=True, use_dictionary=False)
    pq.write_table(arrow(), variant("pyarrow_delta"), use_dictionary=False, column_encoding={
        "image": "DELTA_LENGTH_BYTE_ARRAY", "product_id": "DELTA_BYTE_ARRAY"})
    encoded = arrow().set_column(1, "product_id", pa.array(columns["product_id"]).dictionary_encode())
    encoded = encoded.set_column(2, "image", pa.array(columns["image"], pa.binary()).dictionary_encode())
    pq.write_table(encoded, variant("pyarrow_dictionary"))
    lists = arrow().set_column(3, "captions", pa.array(columns["captions"], pa.list_(pa.string(), 2)))
    pq.write_table(lists, variant("pyarrow_fixed_list"))
    lists = arrow().set_column(3, "captions", pa.array(columns["captions"], pa.large_list(pa.string())))
    pq.write_table(lists, variant("pyarrow_large_list"))
    item = pa.StructArray.from_arrays([arrow()["image"].combine_chunks(), arrow()["junk"].combine_chunks()], ["image", "junk"])
    pq.write_table(arrow().set_column(2, "item", item), variant("pyarrow_nested", image="item.image"))

    import pandas as pd

    frame = pd.DataFrame(columns)
    frame.to_parquet(variant("pandas"))

    import polars as pl

    pl.DataFrame(columns).write_parquet(variant("polars"), row_group_size=9)

    import duckdb

    path = variant("duckdb")
    source = arrow()
    duckdb.register("source", source)
    duckdb.sql(f"COPY (SELECT junk, product_id, image, captions, weight::DECIMAL(9, 4) AS weight FROM source) "
               f"TO '{path}' (FORMAT parquet, COMPRESSION zstd)")

    import datasets

    features = datasets.Features({
        "product_id": datasets.Value("string"), "image": datasets.Image(), "junk": datasets.Value("string"),
        "captions": datasets.List(datasets.Value("string")), "weight": datasets.Value("float32")})
    hf = {**columns, "image": [{"bytes": data, "path": None} for data in columns["image"]]}
    # What `Dataset.from_dict` does, with a fingerprint given: working one out fails with this dill.
    hf = datasets.table.InMemoryTable.from_pydict(hf, schema=features.arrow_schema)
    info = datasets.DatasetInfo(features=features)
    datasets.Dataset(hf, info=info, fingerprint="shards").to_parquet(variant("datasets"))

    # Pictures beside the shard: bytes null, path relative to the shard's folder.
    path = variant("datasets_paths")
    (path.parent / "img").mkdir(exist_ok=True)
    for index, data in enumerate(columns["image"]):
        (path.parent / "img" / f"{index}.png").write_bytes(data)
    struct = [{"bytes": None, "path": f"img/{index}.png"} for index in range(NUM_ROWS)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(arrow().set_column(2, "image", pa.array(struct, kind)), path)

    text = arrow().set_column(3, "captions", pa.array([texts[0] for texts in columns["captions"]]))
    pq.write_table(text, variant("pyarrow_text"))
    pl.DataFrame({**columns, "captions": [texts[0] for texts in columns["captions"]]}).with_columns(
        pl.col("captions").cast(pl.Categorical)).write_parquet(variant("polars_text"))
    (out / "variants.json").write_text(json.dumps(variants))


if __name__ == "__main__":
    main()
