"""Opens the graphs of an index with usearch's own Python package and asks it for neighbours.

usearch_neighbours.py INDEX EMBEDDINGS K  prints, by graph, the keys and inner products of the K nearest
items of every 7th item of the graph, found along the graph, and the share of all that exact search over
the embeddings finds too.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from usearch.index import Index

folder, embeddings, k = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
info = json.loads((folder / "index.json").read_text())
items = pq.read_table(folder / "items.parquet")
table = pq.read_table(embeddings)
assert items["id"].to_pylist() == table["id"].to_pylist(), "keys are rows of the embeddings"
width = info["width"]
vectors = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
vectors = vectors.astype(np.float32).reshape(-1, width)
types = np.array(items["group"].to_pylist(), dtype=object)
found = {}
for graph in info["graphs"]:
    index = Index.restore(str(folder / graph["name"]))
    assert index is not None and len(index) == graph["items"] and index.ndim == width, graph["name"]
    index.expansion_search = info["expansion_search"]
    keys = np.sort(np.array(list(index.keys), dtype=np.int64))
    if info["group"] is not None:
        assert all(type == graph["group"] for type in types[keys]), f"{graph['name']} has items of another type"
    queries, top = keys[::7], min(k, len(keys))
    answers, right = {}, 0
    for key in queries:
        matches = index.search(vectors[key], top)
        exact = keys[np.argsort(-(vectors[keys] @ vectors[key]), kind="stable")[:top]]
        right += len(set(exact) & set(matches.keys.astype(np.int64)))
        answers[str(key)] = {
            "keys": [int(key) for key in matches.keys],
            "scores": [float(1 - distance) for distance in matches.distances],
        }
    found[graph["name"]] = {"answers": answers, "recall": right / (top * len(queries))}
print(json.dumps(found))
