"""Embeddings in Parquet, read and written by the libraries people use.

embeddings.py read FILE     prints JSON: what each library reads of FILE
embeddings.py write FOLDER  writes the same four rows with each library
"""

import json
import os
import sys
from pathlib import Path

import datasets
import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq

IDS = ["a", "b", "c", "d"]
TYPES = ["bag", None, "shoe", "bag"]
ROWS = [[3.0, 4.0], [0.0, -2.0], [1.0, 0.0], [5.0, 12.0]]


def floats(rows):
    return [[float(value) for value in row] for row in rows]


def read(file):
    table = pq.read_table(file)
    kind = table.schema.field("embedding").type
    assert pa.types.is_fixed_size_list(kind), f"pyarrow reads {kind}"
    rows = {"pyarrow": (table["id"].to_pylist(), table["product_type"].to_pylist(), table["embedding"].to_pylist())}
    columns = duckdb.read_parquet(file).fetchnumpy()
    rows["duckdb"] = (
        list(columns["id"]),
        duckdb.sql(f"select product_type from '{file}'").fetchall(),
        list(columns["embedding"]),
    )
    rows["duckdb"] = (rows["duckdb"][0], [row[0] for row in rows["duckdb"][1]], rows["duckdb"][2])
    frame = polars.read_parquet(file)
    rows["polars"] = (frame["id"].to_list(), frame["product_type"].to_list(), frame["embedding"].to_list())
    loaded = datasets.Dataset.from_parquet(file, cache_dir=str(Path(file).parent / "cache"))
    rows["datasets"] = (list(loaded["id"]), list(loaded["product_type"]), list(loaded["embedding"]))
    found = {
        name: {"ids": ids, "types": types, "rows": floats(vectors)} for name, (ids, types, vectors) in rows.items()
    }
    found["metadata"] = json.loads(pq.read_metadata(file).metadata[b"vlclip.embeddings"])
    print(json.dumps(found))


def write(folder):
    folder = Path(folder)
    frame = pandas.DataFrame({"id": IDS, "product_type": TYPES, "embedding": ROWS})
    frame.to_parquet(folder / "pandas.parquet")
    duckdb.sql(f"copy (select id, product_type, embedding::float[] as embedding from frame) to '{folder}/duckdb.parquet'")
    polars.DataFrame(
        {"id": IDS, "product_type": TYPES, "embedding": ROWS},
        schema_overrides={"embedding": polars.Array(polars.Float32, 2)},
    ).write_parquet(folder / "polars.parquet")
    half = pa.FixedSizeListArray.from_arrays(pa.array(np.array(ROWS, dtype=np.float16).ravel()), 2)
    table = pa.table({"id": IDS, "product_type": TYPES, "embedding": half})
    pq.write_table(table, folder / "pyarrow.parquet")
    table = datasets.table.InMemoryTable.from_pydict({"id": IDS, "product_type": TYPES, "embedding": ROWS})
    datasets.Dataset(table, fingerprint="embeddings").to_parquet(folder / "datasets.parquet")


{"read": read, "write": write}[sys.argv[1]](sys.argv[2])
# The libraries' thread pools cannot always end in an interpreter that does.
sys.stdout.flush()
os._exit(0)
