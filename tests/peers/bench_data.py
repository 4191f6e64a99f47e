"""Training loaders side by side: vlclip, open_clip, MosaicML Streaming and Hugging Face datasets.

All read the same pictures and captions (bench_data_files.py writes them once, in each loader's own format) on the
same cores, to which each program is bound, in batches of 64 with training shuffle, training transform to 224 px and
CLIP's tokenizer; bench_data_loaders.py says how the Python loaders are set up. The programs take turns, --rounds
times, each for --seconds after its first batch. vlclip and the Python loaders have as many workers as cores; on one
core a Python loader runs without workers as well in the first round, and goes on in the way that was faster. vlclip is
the crate `data` in a program of its own (examples/bench_loader); `vlclip bench data` is the same loader in the binary
that trains, which has libtorch in memory, as every Python loader here has.

Printed is a Markdown table of medians: samples per second of wall time, CPU seconds per 1,000 samples of the program
and its workers, peak memory (proportional set size of all its processes, so that what they share counts once,
sampled four times a second), and the ratios to open_clip. With --uint8 the Python loaders hand out bytes, as vlclip
always does, and leave normalising to the device.

Figures mean something only while nothing else runs. Files must fit into memory beside the programs, so that all of
them read from the system's cache.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import bench_data_files

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = "vlclip bench data (with libtorch)"
PEERS = {"open_clip": "open_clip (WebDataset)", "streaming": "MosaicML Streaming", "datasets": "Hugging Face datasets"}
PAUSE_S = 0.25


def write_config(folder, data):
    """A configuration for vlclip: ViT-B/32, whose weights are never made, with CLIP's own tokenizer and cleaning."""
    from clip_tokenizer import clip_tokenizer

    tokenizer = folder / "tokenizer"
    if not tokenizer.is_dir():
        clip_tokenizer().save_pretrained(tokenizer)
    config = {
        "name": "bench-data", "seed": 0, "duration": {"epochs": 1},
        "model": {"init": {"random": {
            "config": str(ROOT / "configs/models/vit-b-32.json"), "tokenizer": str(tokenizer / "tokenizer.json")}}},
        "data": {
            "train": [str(data / "parquet")], "text": {"clean": "open_clip"}, "augment": {"scale": [0.9, 1.0]}},
        "batch": {"size": 64}, "optim": {"lr": 1e-5}, "schedule": {"kind": "cosine", "warmup_steps": 0},
    }
    path = folder / f"{data.name}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def tree(pid):
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has just ended
    return found


def memory(pid):
    """Proportional set size of a process and its descendants, in bytes."""
    total = 0
    for process in tree(pid):
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def run(command, cores):
    """Runs a program bound to cores; its report, with the peak of its memory."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    # Wheels come without bytecode: kept from the first start on, or every start compiles for 15 s.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = str(TARGET / "bench-data/pycache")
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        bind = lambda: os.sched_setaffinity(0, cores)
        program = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env, stdout=out, stderr=err, preexec_fn=bind)
        peak = 0
        while program.poll() is None:
            peak = max(peak, memory(program.pid))
            time.sleep(PAUSE_S)
        out.seek(0), err.seek(0)
        if program.returncode:
            sys.exit(f"error: {' '.join(map(str, command))} ended with {program.returncode}:\n{err.read()[-3000:]}")
        report = json.loads(next(line for line in out.read().splitlines() if line.startswith("{")))
    return {**report, "peak_bytes": peak}


def measure(args, data, config, cores):
    """Reports by program, one per round, of everything on these cores."""
    script = Path(__file__).with_name("bench_data_loaders.py")
    uint8 = ["--uint8"] if args.uint8 else []
    rate = lambda report: report["samples"] / report["wall_s"]

    def python(name, workers):
        return run([sys.executable, script, name, "--data", data, "--workers", workers, "--seconds", args.seconds, *uint8], cores)

    reports, workers = defaultdict(list), {}
    loader = [TARGET / "release/examples/bench_loader", config, args.seconds]
    program = [TARGET / "release/vlclip", "bench", "data", config, "--json", "--seconds", args.seconds]
    for _ in range(args.rounds):
        reports["vlclip"].append(run(loader, cores))
        reports[PROGRAM].append(run(program, cores))
        for name in PEERS:
            if name not in workers:
                tried = {count: python(name, count) for count in ([0, 1] if len(cores) == 1 else [len(cores)])}
                workers[name] = max(tried, key=lambda count: rate(tried[count]))
                reports[name].append(tried[workers[name]])
            else:
                reports[name].append(python(name, workers[name]))
    return reports, workers


def median(reports, figure):
    return statistics.median(figure(report) for report in reports)


def rows(reports, workers, label):
    """Lines of the table."""
    figures = {
        name: [
            median(some, lambda r: r["samples"] / r["wall_s"]),
            median(some, lambda r: 1000 * r["cpu_s"] / r["samples"]),
            max(r["peak_bytes"] for r in some) / 2**20,
            median(some, lambda r: r["first_batch_s"]),
        ]
        for name, some in reports.items()
    }
    base = figures["open_clip"]
    for name, (rate, cpu, peak, first) in figures.items():
        title = PEERS.get(name, name) + (f", workers: {workers[name]}" if name in workers else "")
        yield (
            f"| {label} | {title} | {rate:.0f} | {rate / base[0]:.2f} | {cpu:.2f} | {base[1] / cpu:.2f} "
            f"| {peak:.0f} | {peak / base[2]:.2f} | {first:.1f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--sets", nargs="+", choices=list(bench_data_files.SETS), default=list(bench_data_files.SETS))
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--large", type=int, default=3000, metavar="N", help="pictures of 800 px")
    parser.add_argument("--small", type=int, default=8000, metavar="N", help="pictures of 288 px")
    parser.add_argument("--uint8", action="store_true", help="the Python loaders hand out bytes, too")
    parser.add_argument("--files", type=Path, default=TARGET / "bench-data", help="where the files are kept")
    args = parser.parse_args()

    start, available = time.monotonic(), sorted(os.sched_getaffinity(0))
    if max(args.cores) > len(available):
        sys.exit(f"error: --cores: expected at most {len(available)}, the cores of this machine, found {max(args.cores)}")
    for program, command in [("vlclip", "--bins"), ("examples/bench_loader", "-p data --example bench_loader")]:
        if not (TARGET / "release" / program).is_file():
            sys.exit(f"error: `{TARGET / 'release' / program}` is missing: cargo build --release {command}")
    args.files.mkdir(parents=True, exist_ok=True)
    tables = []
    for kind in args.sets:
        data, about = bench_data_files.files(args.files.resolve(), kind, getattr(args, kind))
        config = write_config(args.files.resolve(), data)
        each = about["bytes"] / about["pictures"] / 1e3
        print(f"{kind}: {about['pictures']:,} pictures, {each:.0f} KB each; files ready after {time.monotonic() - start:.0f} s", flush=True)
        for cores in args.cores:
            found = measure(args, data, config, available[:cores])
            tables += rows(*found, f"{kind}, {cores} core{'s' if cores > 1 else ''}")
            print(f"{kind} on {cores} cores done after {time.monotonic() - start:.0f} s", flush=True)
    print()
    print("| pictures | loader | samples/s | ratio | CPU s per 1,000 | ratio | peak MiB | ratio | first batch s |")
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(tables))
    print(f"\n{args.rounds} rounds of {args.seconds:g} s; {time.monotonic() - start:.0f} s in all")


if __name__ == "__main__":
    main()
