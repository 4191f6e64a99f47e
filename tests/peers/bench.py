"""Training steps side by side: vlclip and open_clip in turn, on the same inputs, threads and precision.

For every precision and caption length it writes inputs once, then runs `bench_step` (ours, a Rust example) and
`bench_step.py` (open_clip) alternately, so that both meet the machine in the same moods, and prints a Markdown
table of medians over all timed steps, their ratio, and the peak resident memory. `--optimizer` is open_clip's;
`default` is what its trainer uses, `fused` the fastest that PyTorch has.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def timed(command):
    """The seconds of every timed step of one program, and its peak resident memory in MiB."""
    out = subprocess.run([str(part) for part in command], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    steps = [line["seconds"] for line in lines if "step" in line and "seconds" in line]
    return steps, lines[-1]["peak_rss_mib"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--captions", nargs="+", default=["full", "short"])
    parser.add_argument("--optimizer", nargs="+", default=["default", "fused"], help="open_clip's AdamW")
    args = parser.parse_args()

    print("| precision | captions | open_clip's AdamW | vlclip s/step | open_clip s/step | ratio | vlclip peak MiB | open_clip peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    script = Path(__file__).with_name("bench_step.py")
    for captions in args.captions:
        with tempfile.TemporaryDirectory() as folder:
            inputs = Path(folder) / "inputs.safetensors"
            write = [sys.executable, script, "--write-inputs", inputs, "--batches", 2, "--batch", args.batch, "--captions", captions]
            subprocess.run([str(part) for part in write], check=True, capture_output=True)
            common = ["--inputs", inputs, "--threads", args.threads, "--steps", args.steps, "--warmup", args.warmup]
            for precision in args.precisions:
                programs = {"vlclip": [TARGET / "release/examples/bench_step"]}
                programs |= {kind: [sys.executable, script, "--optimizer", kind, "--batch", args.batch] for kind in args.optimizer}
                seconds, peak = {name: [] for name in programs}, {}
                for _ in range(args.rounds):
                    for name, command in programs.items():
                        steps, memory = timed(command + common + ["--precision", precision])
                        seconds[name] += steps[args.warmup :]
                        peak[name] = max(memory, peak.get(name, 0))
                ours = statistics.median(seconds["vlclip"])
                for kind in args.optimizer:
                    theirs = statistics.median(seconds[kind])
                    print(
                        f"| {precision} | {captions} | {kind} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} "
                        f"| {peak['vlclip']:.0f} | {peak[kind]:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
