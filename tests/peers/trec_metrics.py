"""Scores a TREC run with pytrec_eval: `trec_metrics.py RUN QRELS K[,K...]`.

Prints JSON with every metric under vlclip's name: per query and the mean over queries.
"""

import json
import sys

import pytrec_eval

NAMES = {"precision": "P", "recall": "recall", "hits": "success", "ndcg": "ndcg_cut", "map": "map_cut"}

run_path, qrels_path, ks = sys.argv[1:]
ks = ks.split(",")
with open(qrels_path) as file:
    qrels = pytrec_eval.parse_qrel(file)
with open(run_path) as file:
    run = pytrec_eval.parse_run(file)

measures = {f"{name}.{','.join(ks)}" for name in NAMES.values()} | {"recip_rank"}
scored = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
columns = {f"{ours}@{k}": f"{theirs}_{k}" for ours, theirs in NAMES.items() for k in ks}
columns["mrr"] = "recip_rank"

json.dump(
    {
        "per_query": {
            query: {ours: values[theirs] for ours, theirs in columns.items()}
            for query, values in scored.items()
        },
        "mean": {
            ours: pytrec_eval.compute_aggregated_measure(
                theirs, [values[theirs] for values in scored.values()]
            )
            for ours, theirs in columns.items()
        },
    },
    sys.stdout,
)
