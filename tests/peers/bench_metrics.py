"""Metrics beside pytrec_eval: the same run and judgements, one thread each.

`bench_metrics.py BINARY` where BINARY is eval/examples/bench_metrics.
"""

import argparse
import json
import subprocess
import tempfile
import time

import pytrec_eval

NAMES = {"precision": "P", "recall": "recall", "hits": "success", "ndcg": "ndcg_cut", "map": "map_cut"}
KS = "1,5,10"

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--queries", type=int, default=100_000)
parser.add_argument("--items", type=int, default=100)
args = parser.parse_args()


def clocked(work):
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


with tempfile.TemporaryDirectory() as folder:
    command = [args.binary, args.queries, args.items, folder]
    output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    ours = json.loads(output.stdout)
    lists = {}
    with open(f"{folder}/run.trec") as file:
        for line in file:
            query, _, item, _, score, _ = line.split()
            lists.setdefault(query, []).append((item, float(score)))
    with open(f"{folder}/qrels.trec") as file:
        qrels = pytrec_eval.parse_qrel(file)

measures = {f"{name}.{KS}" for name in NAMES.values()} | {"recip_rank"}
run, dict_s = clocked(lambda: {query: dict(items) for query, items in lists.items()})
evaluator, made_s = clocked(lambda: pytrec_eval.RelevanceEvaluator(qrels, measures))
scored, scored_s = clocked(lambda: evaluator.evaluate(run))
columns = {f"{ours}@{k}": f"{theirs}_{k}" for ours, theirs in NAMES.items() for k in KS.split(",")}
columns["mrr"] = "recip_rank"
means, mean_s = clocked(
    lambda: {
        ours: pytrec_eval.compute_aggregated_measure(theirs, [values[theirs] for values in scored.values()])
        for ours, theirs in columns.items()
    }
)
for name, value in means.items():
    assert abs(value - ours["means"][name]) < 1e-6, (name, value, ours["means"][name])

print(f"{args.queries} queries, {args.items} items listed for each, {len(columns)} metrics, equal to 1e-6")
print("| what | vlclip s | pytrec_eval s | ratio |")
print("|---|---|---|---|")
for what, a, b in [
    ("metrics per query", ours["metrics_s"], scored_s),
    ("metrics per query and means", ours["metrics_s"], scored_s + mean_s),
    ("vlclip: search and metrics; pytrec_eval: dicts and metrics",
     ours["search_s"] + ours["metrics_s"], dict_s + made_s + scored_s + mean_s),
]:
    print(f"| {what} | {a:.3f} | {b:.3f} | {b / a:.1f} |")
