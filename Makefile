# vlclip: everything that a fresh machine needs is set up by `make quickstart` and `make test`.

PYTHON ?= python3
export PYTHON

# Built by `cargo build --release --bins`; vlclip-torch lies beside it.
VLCLIP = $${CARGO_TARGET_DIR:-target}/release/vlclip

.PHONY: quickstart ablation test lint bench bench-data bench-grounding bench-gpu bench-metrics bench-prepare bench-search libtorch libjpeg peers bench-peers bench-search-peers ranx triton tools

# The main job on the embedded synthetic sample, to a retrieval report.
quickstart: libtorch libjpeg
	cargo build --release --bins
	$(VLCLIP) sample --out checkpoints/sample
	$(VLCLIP) prepare configs/prepare/sample.yaml
	$(VLCLIP) train configs/quickstart.yaml
	$(VLCLIP) eval --model checkpoints/runs/quickstart/best \
	  --items checkpoints/sample-shards/test --tasks configs/tasks/sample.yaml \
	  --out checkpoints/runs/quickstart/eval/test

# {raw picture, grounded crop} x {raw title, refined captions} on the sample, three seeds each: a table with
# intervals below checkpoints/runs/ablation. Twelve trainings of the quick start's length; interrupted, it goes on.
ablation: libtorch libjpeg
	cargo build --release --bins
	$(VLCLIP) sample --out checkpoints/sample
	$(VLCLIP) prepare configs/prepare/ablation.yaml
	$(VLCLIP) ablate configs/ablation/sample.yaml

# Formatting, lints, documentation, and every test, those against the Python peers included.
test: libtorch libjpeg peers ranx lint
	cargo test --workspace

lint: libtorch
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || { echo "error: cargo fmt or cargo clippy is missing: rustup component add rustfmt clippy" >&2; exit 1; }
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Side by side with open_clip on this machine; BENCHMARKS.md says what was measured.
bench: libtorch libjpeg peers
	cargo build --release --package train --example bench_step
	PYTHONPATH=.peers:.libtorch $(PYTHON) tests/peers/bench.py
	tests/peers/bench_gpu.sh --device cpu --smoke

# The training loader beside open_clip's, MosaicML Streaming and Hugging Face datasets, on files that it
# draws below target/; nothing else may run. In ARGS what tests/peers/bench_data.py takes.
bench-data: libtorch libjpeg peers bench-peers
	cargo build --release --bins
	cargo build --release --package data --example bench_loader
	PYTHONPATH=.bench-peers:.peers:.libtorch $(PYTHON) tests/peers/bench_data.py $(ARGS)

# Shards prepared beside a Python script, in ARGS what tests/peers/bench_prepare.py takes.
bench-prepare: libtorch libjpeg peers
	cargo build --release --bins
	PYTHONPATH=.peers:.libtorch $(PYTHON) tests/peers/bench_prepare.py $(ARGS)

# The detector beside transformers on CPUs, at the published tiny size; nothing else may run. In ARGS what
# tests/peers/bench_grounding.py takes.
bench-grounding: libtorch peers
	cargo build --release --package grounding --example bench_grounding
	PYTHONPATH=.peers:.libtorch $(PYTHON) tests/peers/bench_grounding.py \
	  $${CARGO_TARGET_DIR:-target}/release/examples/bench_grounding $(ARGS)

# Exact search beside faiss-cpu, 1,000,000 items; nothing else may run. In ARGS what
# tests/peers/bench_search.py takes.
bench-search: peers bench-search-peers
	cargo build --release --package eval --example bench_search
	PYTHONPATH=.bench-search-peers:.peers $(PYTHON) tests/peers/bench_search.py \
	  $${CARGO_TARGET_DIR:-target}/release/examples/bench_search $(ARGS)

# The metrics of 100,000 queries beside pytrec_eval.
bench-metrics: peers
	cargo build --release --package eval --example bench_metrics
	PYTHONPATH=.peers $(PYTHON) tests/peers/bench_metrics.py \
	  $${CARGO_TARGET_DIR:-target}/release/examples/bench_metrics $(ARGS)

# `make bench` on a GPU, in ARGS what tests/peers/bench_gpu.py takes.
bench-gpu: libtorch libjpeg peers triton
	cargo build --release --package train --example bench_step
	tests/peers/bench_gpu.sh $(ARGS)

# libtorch as the PyTorch wheel ships it, in a git-ignored folder; a second call does nothing.
libtorch: tools
	@train/native/fetch-wheels.sh train/native/libtorch.txt .libtorch

# libjpeg-turbo as Pillow's wheel ships it; without it the program looks for the system's.
libjpeg: tools
	@train/native/fetch-wheels.sh data/jpeg/libjpeg.txt .libjpeg

# transformers, open_clip and the other peers that the tests compare with.
peers: tools
	@train/native/fetch-wheels.sh tests/peers/requirements.txt .peers

# ranx, whose metrics the tests compare with; apart, for it brings a compiler.
ranx: tools
	@train/native/fetch-wheels.sh tests/peers/ranx.txt .peers-ranx

# The loaders that only bench-data compares with.
bench-peers: tools
	@train/native/fetch-wheels.sh tests/peers/bench_data.txt .bench-peers

# The index that only bench-search compares with.
bench-search-peers: tools
	@train/native/fetch-wheels.sh tests/peers/bench_search.txt .bench-search-peers

# What torch.compile makes GPU kernels with; only the GPU benchmark needs it.
triton: tools
	@train/native/fetch-wheels.sh tests/peers/triton.txt .triton

tools:
	@command -v cargo >/dev/null || { echo "error: cargo not found: install Rust from https://rustup.rs" >&2; exit 1; }
	@have=$$(cargo --version | cut -d' ' -f2); printf '1.92.0\n%s\n' "$$have" | sort -CV || { echo "error: cargo $$have is too old: 1.92 or newer is needed (rustup update)" >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || { echo "error: no C++ compiler ($${CXX:-c++}): install g++ or clang, or set CXX" >&2; exit 1; }
