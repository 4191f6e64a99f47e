#!/bin/sh
# bench_gpu.sh [arguments of bench_gpu.py]: training steps on one GPU beside open_clip.
#
# 1. A GPU machine with internet: `make bench-gpu`, which installs PyTorch, Triton (for torch.compile) and
#    open_clip, builds `bench_step` and calls this.
#
# 2. A GPU machine without internet, whose python3 has PyTorch 2.11 for CUDA 13. On another machine of the same
#    kind of processor, with a C library that is no newer:
#
#      make libtorch && LIBTORCH=$PWD/.libtorch/torch cargo build --release --package train --example bench_step
#      strip -o bench_step target/release/examples/bench_step
#      python3 -m pip download --no-deps --only-binary=:all: --dest wheels \
#        open_clip_torch==3.3.0 ftfy==6.3.1 wcwidth==0.9.4
#
#    Besides those three open_clip needs timm, torchvision, huggingface_hub, safetensors, regex and tqdm: download
#    what the GPU machine's python3 lacks, with `--python-version`, `--implementation cp` and `--platform` of that
#    machine for the compiled ones. Take bench_step, wheels and this repository there, and run
#
#      VLCLIP_BENCH=./bench_step VLCLIP_WHEELS=wheels tests/peers/bench_gpu.sh --out results.jsonl
#
# Variables: VLCLIP_BENCH (the built example; target/release/examples/bench_step), VLCLIP_WHEELS (folder of wheels;
# without it .peers and .libtorch), PYTHON. torch.compile needs a C compiler and Python's headers.
set -eu
python=${PYTHON:-python3}
calling=$PWD
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

# A path as the caller wrote it, from where this runs.
absolute() { case $1 in /*) echo "$1" ;; *) echo "$calling/$1" ;; esac; }

VLCLIP_BENCH=$(absolute "${VLCLIP_BENCH:-${CARGO_TARGET_DIR:-$root/target}/release/examples/bench_step}")
[ -x "$VLCLIP_BENCH" ] || { echo "error: \`$VLCLIP_BENCH\` is no program: build it with \`cargo build --release --package train --example bench_step\`, or name a built one in VLCLIP_BENCH" >&2; exit 1; }

if [ -n "${VLCLIP_WHEELS:-}" ]; then
  wheels=$(absolute "$VLCLIP_WHEELS")
  peers=$(mktemp -d)
  trap 'rm -rf "$peers"' EXIT
  PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --no-cache-dir \
    --target "$peers" "$wheels"/*.whl
  PYTHONPATH=$peers${PYTHONPATH:+:$PYTHONPATH}
else
  [ -d .peers ] && [ -d .libtorch ] || { echo "error: no .peers or .libtorch in $root: run \`make bench-gpu\`, or set VLCLIP_WHEELS" >&2; exit 1; }
  PYTHONPATH=.peers:.libtorch:.triton${PYTHONPATH:+:$PYTHONPATH}
fi
export PYTHONPATH VLCLIP_BENCH HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1

# bench_step loads the libtorch that Python has, wherever it was built.
torch=$("$python" -c 'import os, torch; print(os.path.dirname(os.path.abspath(torch.__file__)))') || { echo "error: \`$python\` has no PyTorch" >&2; exit 1; }
version=$("$python" -c 'import torch; print(torch.__version__.split("+")[0])')
[ "${version%.*}" = 2.11 ] || { echo "error: \`$python\` has PyTorch $version; bench_step needs 2.11" >&2; exit 1; }
"$python" -c 'import open_clip, open_clip_train.precision, open_clip_train.scheduler' || { echo "error: \`$python\` cannot load open_clip: the missing package goes into VLCLIP_WHEELS" >&2; exit 1; }
LD_LIBRARY_PATH=$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
"$python" tests/peers/bench_gpu.py "$@"
