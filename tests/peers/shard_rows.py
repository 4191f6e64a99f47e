"""Prints columns of the rows of shards as JSON, with the columns named: shard_rows.py COLUMN,COLUMN SHARD..."""

import json
import sys

import pyarrow.parquet as pq

columns = sys.argv[1].split(",")
print(json.dumps([row for shard in sys.argv[2:] for row in pq.read_table(shard, columns=columns).to_pylist()]))
