"""Scores a TREC run with ranx: `ranx_metrics.py RUN QRELS K[,K...]`.

Prints JSON with every metric under vlclip's name: per query and the mean over queries. ranx's own
functions run as Python: compiling them takes longer than the test.
"""

import json
import os
import sys
from collections import defaultdict

os.environ["NUMBA_DISABLE_JIT"] = "1"

from ranx import Qrels, Run, evaluate

NAMES = {
    "precision": "precision",
    "recall": "recall",
    "hits": "hit_rate",
    "mrr": "mrr",
    "ndcg": "ndcg",
    "map": "map",
}
UNCUT = {"mrr": "mrr", "map": "map", "r_precision": "r-precision"}


def table(path, item, value):
    """{query: {item: value}} of a file whose fields are separated by white space."""
    rows = defaultdict(dict)
    with open(path) as file:
        for fields in map(str.split, file):
            rows[fields[0]][fields[item]] = int(fields[value])
    return rows


run_path, qrels_path, ks = sys.argv[1:]
qrels = Qrels(table(qrels_path, 2, 3))
# Queries without judgements do not count; those without a retrieved item would count as 0.
run = Run(table(run_path, 2, 4)).make_comparable(qrels)
columns = {f"{ours}@{k}": f"{theirs}@{k}" for ours, theirs in NAMES.items() for k in ks.split(",")} | UNCUT
mean = evaluate(qrels, run, list(columns.values()))
json.dump(
    {
        "per_query": {
            query: {ours: float(run.scores[theirs][query]) for ours, theirs in columns.items()}
            for query in qrels.keys()
        },
        "mean": {ours: float(mean[theirs]) for ours, theirs in columns.items()},
    },
    sys.stdout,
)
