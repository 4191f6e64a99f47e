"""Scores a TREC run with pytrec_eval: `trec_metrics.py RUN QRELS K[,K...]`.

Prints JSON with every metric under vlclip's name: per query and the mean over queries. trec_eval has
no MRR with a cut-off: it is recip_rank on the run cut after k items.
"""

import json
import sys

import pytrec_eval

NAMES = {"precision": "P", "recall": "recall", "hits": "success", "ndcg": "ndcg_cut", "map": "map_cut"}
UNCUT = {"mrr": "recip_rank", "map": "map", "r_precision": "Rprec"}

run_path, qrels_path, ks = sys.argv[1:]
ks = ks.split(",")
with open(qrels_path) as file:
    qrels = pytrec_eval.parse_qrel(file)
with open(run_path) as file:
    run = pytrec_eval.parse_run(file)

measures = {f"{name}.{','.join(ks)}" for name in NAMES.values()} | set(UNCUT.values())
scored = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
columns = {f"{ours}@{k}": f"{theirs}_{k}" for ours, theirs in NAMES.items() for k in ks} | UNCUT
per_query = {
    query: {ours: values[theirs] for ours, theirs in columns.items()} for query, values in scored.items()
}

for k in ks:
    cut = {
        query: dict(sorted(items.items(), key=lambda item: -item[1])[: int(k)])
        for query, items in run.items()
    }
    for query, values in pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut).items():
        per_query[query][f"mrr@{k}"] = values["recip_rank"]

names = [*columns, *(f"mrr@{k}" for k in ks)]
mean = {
    name: pytrec_eval.compute_aggregated_measure(
        columns.get(name, "recip_rank"), [values[name] for values in per_query.values()]
    )
    for name in names
}
json.dump({"per_query": per_query, "mean": mean}, sys.stdout)
