"""Seconds to find what a phrase names in pictures, beside transformers, in turns and in one run.

    cargo build --release --package grounding --example bench_grounding
    PYTHONPATH=.peers:.libtorch python3 tests/peers/bench_grounding.py PROGRAM [--rounds N] [--threads N]

A random model of the published tiny size (Swin-T, BERT base, 900 queries) in f32 on CPUs; pictures resized to a
shortest side of 800, as published. Each side goes from decoded pixels and a phrase to boxes; the model's own share
is given besides, and the time of all processors, which other work on the machine changes little. One call of each is thrown away. Medians; `times` is how many times as fast vlclip is.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import grounding_model

# Pictures of a batch: height, width.
BATCHES = {"one square": [(1000, 1000)], "one landscape": [(480, 640)], "four of two sizes": [(800, 800), (800, 800), (900, 800), (900, 800)]}
PHRASES = {"one word": "handbag", "five phrases": "red shoe. blue chair. white mug. wooden table. a black cat"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the example `bench_grounding` of the crate `grounding`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of each side; left out, as many as there are cores")
    parser.add_argument("--batches", nargs="+", choices=BATCHES, default=list(BATCHES))
    args = parser.parse_args()

    import numpy as np
    import torch
    from transformers import AutoProcessor, GroundingDinoForObjectDetection

    from pictures import natural

    threads = args.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        grounding_model.write(directory, "published-tiny")
        processor = AutoProcessor.from_pretrained(directory)
        model = GroundingDinoForObjectDetection.from_pretrained(directory).eval()
        for batch in args.batches:
            sizes = enumerate(BATCHES[batch])
            drawn = [np.array(natural(np.random.default_rng(n), width, height)) for n, (height, width) in sizes]
            files = []
            for n, picture in enumerate(drawn):
                path = Path(folder) / f"{n}.rgb"
                path.write_bytes(picture.tobytes())
                files.append(f"{picture.shape[1]}x{picture.shape[0]}:{path}")
            command = [args.program, str(directory), str(threads), *files]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
                for about, phrase in PHRASES.items():
                    ours, theirs = [], []
                    for _ in range(args.rounds + 1):
                        print(phrase, file=program.stdin, flush=True)
                        ours.append(json.loads(program.stdout.readline()))
                        theirs.append(peer(model, processor, drawn, phrase))
                    if abs(ours[0]["best"] - theirs[0]["best"]) > 1e-3:
                        raise SystemExit(f"not the same work: {ours[0]} and {theirs[0]}")
                    median = {
                        name: {key: statistics.median(one[key] for one in side[1:]) for key in ("seconds", "model", "cpu")}
                        for name, side in (("vlclip", ours), ("transformers", theirs))
                    }
                    found = {"batch": batch, "phrase": about, "threads": threads, "rounds": args.rounds}
                    found |= {name: {key: round(value, 3) for key, value in side.items()} for name, side in median.items()}
                    found["times"] = {key: round(median["transformers"][key] / median["vlclip"][key], 2) for key in ("seconds", "model", "cpu")}
                    print(json.dumps(found), flush=True)
                program.stdin.close()


def peer(model, processor, pictures, phrase):
    """One batch through transformers."""
    import torch

    start, cpu = time.perf_counter(), time.process_time()
    labels = [phrase.split(".")] * len(pictures)
    inputs = processor(images=pictures, text=labels, padding=True, return_tensors="pt")
    before = time.perf_counter()
    with torch.inference_mode():
        outputs = model(**inputs)
    alone = time.perf_counter() - before
    found = processor.post_process_grounded_object_detection(
        outputs, inputs["input_ids"], threshold=0.0, text_threshold=0.25, target_sizes=[picture.shape[:2] for picture in pictures]
    )
    return {"seconds": time.perf_counter() - start, "model": alone, "cpu": time.process_time() - cpu, "best": float(found[0]["scores"].max())}


if __name__ == "__main__":
    main()
