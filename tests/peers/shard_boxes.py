"""Prints id, box and score of the rows of a shard as JSON: shard_boxes.py SHARD."""

import json
import sys

import pyarrow.parquet as pq

print(json.dumps(pq.read_table(sys.argv[1], columns=["product_id", "box", "box_score"]).to_pylist()))
