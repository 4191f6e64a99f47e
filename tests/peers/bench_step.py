"""Times one open_clip training step on the CPU: the other side of the step benchmark in BENCHMARKS.md.

What is compared, and why: the same work on the same machine, one program after the other. A step is what
open_clip_train does per batch: schedule, zero_grad, forward under autocast, ClipLoss, backward, AdamW (its two
groups, its ViT settings), clamp of logit_scale. Decoding is left out: pictures are normalised to f32 in
memory before the clock starts (open_clip's loader workers do that, so it is not charged to it). Both programs
read the same pictures and token ids from one file, and both start from random weights of the same shape.

  bench_step.py --write-inputs FILE --batch 32 --batches 4    writes the inputs:
      pixels [N,B,H,W,3] u8, ids [N,B,T] i64, lengths [N,B] i64 (tokens up to and with the end token)
      metadata: mean, std (JSON lists), captions, model
  bench_step.py --inputs FILE --precision bf16 ...            times steps over them, round and round

Captions: `short` draws lengths as product titles have them (8 to 40 tokens, mean about 20), `full` fills
the context. open_clip always computes the whole context, so both cost it the same; a program that stops at
the longest caption is faster on `short`. Precision: `f32`, or `bf16` = f32 weights under autocast, open_clip's
`--precision amp_bf16`. Optimiser: `default` is what open_clip gets from torch.optim.AdamW on a CPU (a loop over
tensors), `foreach` and `fused` are PyTorch's faster ones; report against the best.

Prints one JSON line for the set-up, one per step, and a last one with the median, samples per second and the
peak resident memory of the process (VmHWM).
"""

import argparse
import json
import math
import os
import statistics
import time
from pathlib import Path

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]


def resident(field="VmHWM"):
    """Peak (VmHWM) or current (VmRSS) resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError(f"/proc/self/status has no {field}")


def synthetic(args):
    """Pictures and token ids by seed, of the shape that the model's configuration names."""
    import open_clip
    import torch

    shape = open_clip.get_model_config(args.model)
    side = shape["vision_cfg"]["image_size"]
    context, vocabulary = shape["text_cfg"]["context_length"], shape["text_cfg"]["vocab_size"]
    generator = torch.Generator().manual_seed(args.seed)
    count = (args.batches, args.batch)
    pixels = torch.randint(0, 256, (*count, side, side, 3), generator=generator, dtype=torch.uint8)
    if args.captions == "full":
        lengths = torch.full(count, context)
    else:
        # log-normal, median 19: titles are short with a long tail
        lengths = torch.empty(count).log_normal_(math.log(19), 0.35, generator=generator).round().long().clamp(8, 40)
    start, end = vocabulary - 2, vocabulary - 1
    words = torch.randint(300, start, (*count, context), generator=generator)
    at = torch.arange(context)
    last = lengths.unsqueeze(-1) - 1
    ids = torch.where(at < last, words, torch.where(at == last, end, 0))
    ids[..., 0] = start
    return {"pixels": pixels, "ids": ids.contiguous(), "lengths": lengths.contiguous()}


def inputs(args):
    from safetensors import safe_open

    if args.inputs is None:
        return synthetic(args)
    with safe_open(args.inputs, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in ("pixels", "ids")}
    batch = tensors["pixels"].shape[1]
    if batch != args.batch:
        raise SystemExit(f"bench_step.py: {args.inputs} holds batches of {batch}, --batch says {args.batch}")
    return tensors


def normalised(pixels):
    """u8 [N,B,H,W,3] to a list of N contiguous f32 [B,3,H,W]."""
    import torch

    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return [((batch.permute(0, 3, 1, 2).float() / 255 - mean) / std).contiguous() for batch in pixels]


def optimizer_of(model, kind):
    """open_clip_train's AdamW: its groups by its own name rule, its defaults for ViTs."""
    import torch

    exclude = lambda name, p: p.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if exclude(name, p)], "weight_decay": 0.0},
        {"params": [p for name, p in named if not exclude(name, p)], "weight_decay": 0.2},
    ]
    how = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}[kind]
    return torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.98), eps=1e-6, **how)


def measure(args):
    import open_clip
    import torch
    from open_clip_train.precision import get_autocast
    from open_clip_train.scheduler import cosine_lr

    data = inputs(args)
    images, texts = normalised(data["pixels"]), list(data["ids"])
    del data
    before_model = resident("VmRSS")

    precision = {"f32": "fp32", "bf16": "amp_bf16"}[args.precision]
    torch.manual_seed(args.seed)
    model = open_clip.create_model(args.model, precision=precision, output_dict=True)
    model.train()
    loss_of = open_clip.ClipLoss(cache_labels=True)
    optimizer = optimizer_of(model, args.optimizer)
    schedule = cosine_lr(optimizer, 5e-4, 100, 10_000)
    autocast = get_autocast(precision, device_type="cpu")
    print(json.dumps({
        "program": "open_clip", "version": open_clip.__version__, "torch": torch.__version__, "model": args.model,
        "parameters": sum(p.numel() for p in model.parameters()), "batch": args.batch, "precision": args.precision,
        "optimizer": args.optimizer, "threads": torch.get_num_threads(), "cpus": len(os.sched_getaffinity(0)),
        "captions": "file" if args.inputs else args.captions, "clip_norm": args.clip_norm, "inputs_rss_mib": before_model,
    }), flush=True)

    seconds = []
    for step in range(args.warmup + args.steps):
        image, text = images[step % len(images)], texts[step % len(texts)]
        began = time.perf_counter()
        schedule(step)
        optimizer.zero_grad()
        with autocast():
            out = model(image, text)
            loss = loss_of(**out, output_dict=True)["contrastive_loss"]
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        if args.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip_norm, norm_type=2.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        ended = time.perf_counter()
        if step >= args.warmup:
            seconds.append(ended - began)
        print(json.dumps({
            "step": step, "warmup": step < args.warmup, "seconds": ended - began, "forward": forward - began,
            "backward": backward - forward, "update": ended - backward, "loss": loss.item(),
        }), flush=True)
    median = statistics.median(seconds)
    print(json.dumps({
        "median_seconds": median, "min_seconds": min(seconds), "max_seconds": max(seconds), "steps": len(seconds),
        "samples_per_second": args.batch / median, "peak_rss_mib": resident(), "inputs_rss_mib": before_model,
    }), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32", help="an open_clip model configuration")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=4, help="how many different batches to hold or write")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--optimizer", choices=["default", "foreach", "fused"], default="fused")
    parser.add_argument("--clip-norm", type=float, help="clip the gradient norm (open_clip's default: not)")
    parser.add_argument("--captions", choices=["short", "full"], default="short")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=Path, help="read the inputs from this file")
    parser.add_argument("--write-inputs", type=Path, help="write the inputs to this file and leave")
    args = parser.parse_args()

    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(args.threads)
    if args.write_inputs is None:
        return measure(args)
    tensors = synthetic(args)
    metadata = {"mean": json.dumps(MEAN), "std": json.dumps(STD), "captions": args.captions, "model": args.model}
    save_file(tensors, args.write_inputs, metadata=metadata)
    lengths = tensors["lengths"].double()
    print(json.dumps({
        "pixels": list(tensors["pixels"].shape), "ids": list(tensors["ids"].shape),
        "caption_tokens": {"mean": float(lengths.mean()), "min": int(lengths.min()), "max": int(lengths.max())},
    }))


if __name__ == "__main__":
    main()
