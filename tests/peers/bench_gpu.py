"""Training steps on one GPU: vlclip and open_clip in turn, and where vlclip's time goes.

Started by `bench_gpu.sh`, which finds the programs. Parts, all of them by default, chosen with --parts:

  steps     one batch in the GPU's memory; every program in turn, --rounds times, at the same batch size. Where
            one of them runs out of memory the batch is halved for all of them. open_clip as bench_gpu_step.py
            says, eager and compiled; vlclip without and with `memory.recompute: blocks`.
  shards    vlclip with its loader over Parquet shards, as the quick start prepares them (product pictures
            and captions; made in --shards where that does not exist): decoding, tokenising, upload included, and
            the share of the time in which the step waited for data. Captions are cut at each batch's longest.
  stages    vlclip's step taken apart, with what the device's peak would take for the same work.
  exchange  NCCL in a group of one process: checked and timed.

Printed are Markdown tables of medians; memory is the peak in tensors on the GPU, of the process on a CPU. Model FLOP utilisation is bench_gpu_work.py's work of a step over the time
and the device's dense bf16 peak. The activation of both programs is exact GELU (--activation), open_clip's own for
these models and one fused kernel in PyTorch. Differences that remain: vlclip's loss is in f32 and leaves out
duplicates, open_clip's is under autocast; vlclip takes the gradients' norm in every step, as its runs do; pure_bf16
of vlclip has f32 master weights and moments, open_clip's has none.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_gpu_work as work

ROOT = Path(__file__).resolve().parents[2]
OURS = os.environ.get("VLCLIP_BENCH", ROOT / "target/release/examples/bench_step")
THEIRS = [sys.executable, Path(__file__).with_name("bench_gpu_step.py")]
BATCHES = {"vit-b-32": 1024, "vit-b-16": 512, "vit-l-14": 256}
PROGRAMS = {
    "vlclip": [OURS],
    "vlclip, recompute": [OURS, "--recompute", "blocks"],
    "open_clip, eager": [*THEIRS],
    "open_clip, compiled": [*THEIRS, "--compile"],
    "open_clip, compiled, channels_last": [*THEIRS, "--compile", "--channels-last"],
}
PARTS = ["steps", "shards", "stages", "exchange"]
PEERS = ["open_clip, eager", "open_clip, compiled"]
# How often the products of a forward pass come in each.
WAYS = {"forward": 1, "backward": 2}
START = time.monotonic()


class OutOfMemory(Exception):
    pass


class Failed(Exception):
    pass


def run(args, label, command):
    """The JSON lines that a program printed. What it was told and what it said go to --out."""
    command = [str(part) for part in command]
    print(f"[{time.monotonic() - START:5.0f} s] {label}", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if args.out:
        with args.out.open("a") as file:
            failure = done.stderr[-4000:] if done.returncode else None
            said = {"label": label, "command": command, "lines": lines, "failure": failure}
            file.write(json.dumps(said) + "\n")
    if done.returncode:
        if "out of memory" in done.stderr.lower():
            raise OutOfMemory(label)
        raise Failed(f"{label} ended with {done.returncode}: {' '.join(command)}\n{done.stderr.strip()[-2000:]}")
    return lines


class Report:
    """Prints a Markdown table row by row; remembers that something failed."""

    failed = False

    def head(self, title, *columns):
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)

    def row(self, *cells):
        print(f"| {' | '.join(cells)} |", flush=True)

    def error(self, message):
        self.failed = True
        print(f"error: {message}", file=sys.stderr, flush=True)


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value):
    return "unknown" if value is None else f"{100 * value:.1f} %"


def config_of(args, folder, model):
    """The model's config.json with the activation that is asked for."""
    text = (ROOT / f"configs/models/{model}.json").read_text()
    shape = json.loads(text)
    for tower in ("text_config", "vision_config"):
        shape[tower]["hidden_act"] = args.activation
    path = Path(folder) / f"{model}.json"
    path.write_text(json.dumps(shape))
    return path


def common(args, config, batch, precision):
    return [
        "--config", config, "--device", args.device, "--batch", batch, "--precision", precision,
        "--steps", args.steps, "--warmup", args.warmup,
    ]


def rounds_at(args, report, config, model, precision, batch):
    """Every program's seconds per step, peak MiB and parameters at one batch size; OutOfMemory goes on."""
    seconds, peak, parameters, broken = {}, {}, {}, set()
    drawn = ["--block", args.block, *(["--tokens", args.tokens] if args.tokens else [])]
    for turn in range(args.rounds):
        for name in args.programs:
            if name in broken:
                continue
            label = f"{model} {precision} batch {batch} round {turn}: {name}"
            try:
                lines = run(args, label, PROGRAMS[name] + common(args, config, batch, precision) + drawn)
            except Failed as failure:
                broken.add(name)
                report.error(failure)
                continue
            steps = [line["seconds"] for line in lines if "step" in line and not line["warmup"]]
            seconds.setdefault(name, []).extend(steps)
            peak[name] = max(peak.get(name, 0), lines[-1]["peak_gpu_mib"] or lines[-1]["peak_rss_mib"])
            parameters[name] = lines[0]["parameters"]
    if len(set(parameters.values())) > 1:
        raise SystemExit(f"error: the programs have models of different size: {parameters}")
    return seconds, peak


def steps(args, report, config, model, precision, flops_peak):
    """Prints a row for each program and returns the batch size that all of them could take."""
    batch = args.batch or BATCHES[model]
    while True:
        try:
            seconds, peak = rounds_at(args, report, config, model, precision, batch)
            break
        except OutOfMemory as short:
            print(f"out of memory: {short}", file=sys.stderr, flush=True)
            batch //= 2
            if batch < 2:
                report.error(f"{model} {precision}: not even two pairs fit into memory")
                return None
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name in args.programs:
        if name not in median:
            report.row(model, precision, name, str(batch), *["failed"] * 6)
            continue
        rate = batch / median[name]
        used = rate * work.step(config) / 1e12 / flops_peak if flops_peak else None
        ratios = [number(median[peer] / median[name] if peer in median else None) for peer in PEERS]
        report.row(
            model, precision, name, str(batch), number(rate, 1), number(1000 * median[name], 1), percent(used),
            number(peak[name] / 1024), *ratios,
        )
    return batch


def shards(args, report, config, model, precision, batch):
    label = f"{model} {precision} batch {batch}: vlclip from shards"
    command = [OURS, *common(args, config, batch, precision), "--block", args.steps, "--shards", args.shards]
    lines = run(args, label, command)
    last = lines[-1]
    report.row(model, precision, str(batch), number(last["samples_per_s"], 1), percent(last["data_wait"]))


def stages(args, report, config, model, precision, batch, peaks):
    label = f"{model} {precision} batch {batch}: stages of vlclip"
    lines = run(args, label, [OURS, "--stages", *common(args, config, batch, precision)])
    flops = work.forward(config)
    products = {f"{tower} {way}": times * flops[tower] for tower in flops for way, times in WAYS.items()}
    for line in lines[1:]:
        stage, ms, limit_ms = line["stage"], 1000 * line["seconds"], None
        if peaks and stage in products:
            limit_ms = 1000 * batch * products[stage] / (peaks[0] * 1e12)
        elif peaks and stage == "optimiser":
            limit_ms = 1000 * lines[0]["parameters"] * work.ADAMW_BYTES / (peaks[1] * 1e12)
        share = percent(limit_ms / ms) if limit_ms else "-"
        report.row(model, precision, str(batch), stage, number(ms), number(limit_ms), share)
    total = sum(line["seconds"] for line in lines[1:] if line["stage"] != "upload")
    report.row(model, precision, str(batch), "all but upload", number(1000 * total), "-", "-")


def each(args, report, part, columns, body):
    """One table over all models and precisions."""
    report.head(part, *columns)
    for model, config in args.configs.items():
        for precision in args.precisions:
            try:
                body(config, model, precision)
            except (Failed, OutOfMemory) as failure:
                report.error(failure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu goes with --smoke")
    parser.add_argument("--smoke", action="store_true", help="a tiny model and two steps: does everything run?")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--models", nargs="+", default=list(BATCHES), help="names under configs/models")
    parser.add_argument("--precisions", nargs="+", default=["bf16", "pure_bf16"], choices=["bf16", "pure_bf16"])
    left_out = "left out: all but the last; in a smoke run no compiled one"
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), help=left_out)
    parser.add_argument("--activation", default="gelu", choices=["gelu", "quick_gelu"])
    parser.add_argument("--batch", type=int, help=f"pairs of a step; left out: {BATCHES}")
    parser.add_argument("--tokens", type=int, help="tokens of drawn captions; left out: the whole context")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--block", type=int, default=5, help="steps between two readings of the clock")
    parser.add_argument("--shards", type=Path, default=ROOT / "checkpoints/sample-shards")
    parser.add_argument("--out", type=Path, help="appends what every program said, as JSON lines")
    args = parser.parse_args()
    if args.device == "cpu" and not args.smoke:
        parser.error("--device cpu goes with --smoke; `make bench` measures on the CPU")
    if args.smoke:
        args.models, args.batch, args.rounds, args.steps, args.warmup, args.block = ["quickstart"], 16, 1, 2, 1, 1
    # Compiling for a CPU takes minutes and shows nothing of a GPU.
    args.programs = args.programs or list(PROGRAMS)[: 3 if args.smoke else 4]
    unknown = [model for model in args.models if not (args.batch or model in BATCHES)]
    if unknown:
        parser.error(f"--models {' '.join(unknown)}: say --batch too, or take of {list(BATCHES)}")

    try:
        device = run(args, "device", [*THEIRS, "--describe", "--device", args.device])[0]
    except Failed as failure:
        raise SystemExit(str(failure).splitlines()[-1]) from None
    peaks = work.PEAKS.get(device["device"])
    known = f"{peaks[0]} TFLOP/s dense bf16, {peaks[1]} TB/s by its data sheet" if peaks else "peak unknown"
    memory = f", {device['total_gib']:.1f} GiB" if device["total_gib"] else ""
    drawn = f"captions of {args.tokens or 'all'} tokens, {args.activation}"
    print(f"{device['device']}{memory}; {known}; PyTorch {device['torch']}; {drawn}")

    report, batches = Report(), {}
    with tempfile.TemporaryDirectory() as folder:
        args.configs = {model: config_of(args, folder, model) for model in args.models}
        fits = lambda model, precision: batches.get((model, precision)) or args.batch or BATCHES[model]
        if "steps" in args.parts:
            def body(config, model, precision):
                batches[model, precision] = steps(args, report, config, model, precision, peaks and peaks[0])
            columns = ["model", "precision", "program", "batch", "samples/s", "ms/step"]
            columns += ["FLOP utilisation", "peak GiB", "over eager", "over compiled"]
            each(args, report, "Steps on a batch in memory", columns, body)
        if "shards" in args.parts:
            def body(config, model, precision):
                shards(args, report, config, model, precision, fits(model, precision))
            columns = ["model", "precision", "batch", "samples/s", "waiting for data"]
            each(args, report, "vlclip from Parquet shards", columns, body)
        if "stages" in args.parts:
            def body(config, model, precision):
                stages(args, report, config, model, precision, fits(model, precision), peaks)
            columns = ["model", "precision", "batch", "stage", "ms", "limit ms", "limit / measured"]
            each(args, report, "Stages of vlclip's step", columns, body)
        if "exchange" in args.parts:
            report.head("Exchanges in a group of one", "exchange", "MiB", "ms")
            try:
                command = [OURS, "--exchange", "--device", args.device, "--steps", args.steps]
                for line in run(args, "exchange", command):
                    if "seconds" in line:
                        report.row(line["exchange"], number(line.get("mib"), 0), number(1000 * line["seconds"], 3))
            except (Failed, OutOfMemory) as failure:
                report.error(failure)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
