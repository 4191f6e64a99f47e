"""Exact search beside faiss-cpu's IndexFlatIP: the same rows, threads and depth, taking turns.

`bench_search.py BINARY` where BINARY is eval/examples/bench_search. `--whole` runs vlclip alone, on
items that stream from the disk.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

BLOCK = 10_000


def draw(path, rows, width, clusters, seed):
    """Unit rows: of random directions, or near one of `clusters` directions."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((max(clusters, 1), width), dtype=np.float32)
    with open(path, "wb") as file:
        for start in range(0, rows, BLOCK):
            block = random.standard_normal((min(BLOCK, rows - start), width), dtype=np.float32)
            if clusters:
                block = centres[random.integers(clusters, size=len(block))] + 0.5 * block
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            block.tofile(file)


def peer(items, queries, width, depth, threads, found):
    """Searches with faiss; what this process runs when it is called with `--peer`."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(width)
    rows = np.fromfile(items, np.float32).reshape(-1, width)
    index.add(rows)
    del rows
    queries = np.fromfile(queries, np.float32).reshape(-1, width)
    start = time.perf_counter()
    scores, places = index.search(queries, depth)
    seconds = time.perf_counter() - start
    pairs = np.empty(scores.shape, [("item", "<u4"), ("score", "<f4")])
    pairs["item"], pairs["score"] = places, scores
    pairs.tofile(found)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_mib": peak // 1024}))


def timed(command, env):
    output = subprocess.run(list(map(str, command)), env=env, check=True, capture_output=True, text=True)
    return json.loads(output.stdout.splitlines()[-1])


def agreement(ours, theirs, depth):
    """Share of queries with the same list, and the largest difference of scores at equal rank."""
    kind = [("item", "<u4"), ("score", "<f4")]
    ours, theirs = (np.fromfile(path, kind).reshape(-1, depth) for path in (ours, theirs))
    same = (ours["item"] == theirs["item"]).all(axis=1).mean()
    apart = float(np.abs(ours["score"] - theirs["score"]).max())
    assert apart < 1e-5, f"scores differ by {apart}"
    return same, apart


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--depths", default="10,100")
    parser.add_argument("--clusters", default="0", help="0 for random directions, or a number of clusters")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--whole", action="store_true")
    args = parser.parse_args()
    # numpy's threads are no part of it; faiss has its own.
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    print(f"{args.items} items, {args.queries} queries, width {args.width}, {args.threads} threads")
    print("| rows | depth | vlclip s | faiss s | ratio | vlclip GFLOP/s | vlclip MiB | faiss MiB | same lists |")
    print("|---|---|---|---|---|---|---|---|---|")
    work = 2e-9 * args.items * args.queries * args.width
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        path = lambda name: os.path.join(folder, name)
        for clusters in map(int, args.clusters.split(",")):
            rows = f"{clusters} clusters" if clusters else "random"
            draw(path("items"), args.items, args.width, clusters, 1)
            draw(path("queries"), args.queries, args.width, clusters, 2)
            for depth in map(int, args.depths.split(",")):
                inputs = [path("items"), path("queries"), args.width, depth, args.threads]
                if args.whole:
                    found = timed([args.binary, *inputs, "stream"], env)
                    seconds = found["seconds"]
                    print(f"| {rows} | {depth} | {seconds:.1f} | | | {work / seconds:.0f} | {found['peak_mib']} | | |")
                    continue
                ours, theirs = [], []
                for _ in range(args.rounds):
                    ours.append(timed([args.binary, *inputs, "memory", path("ours")], env))
                    theirs.append(timed([sys.executable, __file__, "--peer", *inputs, path("theirs")], env))
                same, _ = agreement(path("ours"), path("theirs"), depth)
                a, b = (statistics.median(run["seconds"] for run in runs) for runs in (ours, theirs))
                peaks = [max(run["peak_mib"] for run in runs) for runs in (ours, theirs)]
                print(
                    f"| {rows} | {depth} | {a:.1f} | {b:.1f} | {b / a:.2f} | {work / a:.0f} | {peaks[0]} | {peaks[1]}"
                    f" | {same:.4f} |",
                    flush=True,
                )


if sys.argv[1] == "--peer":
    items, queries, *numbers, found = sys.argv[2:]
    peer(items, queries, *map(int, numbers), found)
else:
    main()
