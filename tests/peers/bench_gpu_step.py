"""Times open_clip's training steps on a GPU: the other side of the GPU benchmark (bench_gpu.py).

A step is what open_clip_train does per batch: schedule, zero_grad, forward under autocast, ClipLoss, backward,
AdamW with its two groups, clamp of logit_scale. One batch, normalised and in the dtype that its loader gives,
lies in the GPU's memory before the clock starts. The settings are its fastest: AdamW(fused=True), TF32 allowed
and cudnn.benchmark (as open_clip_train sets them), attention by scaled_dot_product_attention (its default).
local-loss and gather-with-grad say how several GPUs share the loss and change nothing on one.

`--compile` is open_clip_train's --torchcompile. Precisions are open_clip's: amp_bf16 is f32 weights under
autocast, pure_bf16 is bfloat16 weights, gradients and moments without f32 masters.

Steps are timed in blocks: the clock is read where the GPU has nothing left to do. Prints JSON lines as
`bench_step` does; the peak of memory is that of the timed steps.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

from bench_step import optimizer_of, resident


def open_clip_config(path):
    """The same model in open_clip's words, from a Hugging Face CLIP `config.json`."""
    shape = json.loads(Path(path).read_text())
    image, text = shape["vision_config"], shape["text_config"]
    ratio = lambda tower: tower["intermediate_size"] / tower["hidden_size"]
    return {
        "embed_dim": shape["projection_dim"],
        "quick_gelu": image["hidden_act"] == "quick_gelu",
        "vision_cfg": {
            "image_size": image["image_size"], "patch_size": image["patch_size"], "width": image["hidden_size"],
            "layers": image["num_hidden_layers"], "mlp_ratio": ratio(image),
            "head_width": image["hidden_size"] // image["num_attention_heads"],
        },
        "text_cfg": {
            "context_length": text["max_position_embeddings"], "vocab_size": text["vocab_size"],
            "width": text["hidden_size"], "layers": text["num_hidden_layers"], "mlp_ratio": ratio(text),
            "heads": text["num_attention_heads"],
        },
    }


def create(args, precision):
    import open_clip

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmarked.json"
        path.write_text(json.dumps(open_clip_config(args.config)))
        open_clip.add_model_config(path)
        return open_clip.create_model(path.stem, precision=precision, device=args.device, output_dict=True)


def drawn(args, dtype):
    """A batch of random pictures [B,3,H,W] and captions [B,T] of `--tokens` tokens, padded to the context."""
    import torch

    shape = json.loads(Path(args.config).read_text())
    side, text = shape["vision_config"]["image_size"], shape["text_config"]
    context, vocabulary = text["max_position_embeddings"], text["vocab_size"]
    length = min(args.tokens or context, context)
    image = torch.randn(args.batch, 3, side, side, device=args.device, dtype=dtype)
    if args.channels_last:
        image = image.to(memory_format=torch.channels_last)
    ids = torch.randint(vocabulary - 2, (args.batch, context), device=args.device)
    ids[:, 0], ids[:, length - 1], ids[:, length:] = vocabulary - 2, vocabulary - 1, 0
    return image, ids


def describe(device):
    """The device in numbers, or an error that says what to do."""
    import torch

    if device == "cpu":
        return {"device": "CPU", "total_gib": None, "torch": torch.__version__}
    if not torch.cuda.is_available():
        raise SystemExit(
            f"error: PyTorch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU: check `nvidia-smi` and the "
            "driver's CUDA version; `--device cpu --smoke` tries the benchmark out without one"
        )
    found = torch.cuda.get_device_properties(0)
    return {"device": found.name, "total_gib": found.total_memory / 2**30, "torch": torch.__version__}


def measure(args):
    import open_clip
    import torch
    from open_clip_train.precision import get_autocast
    from open_clip_train.scheduler import cosine_lr

    cuda = args.device == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    precision = {"bf16": "amp_bf16", "pure_bf16": "pure_bf16"}[args.precision]
    image, text = drawn(args, torch.bfloat16 if precision == "pure_bf16" else torch.float32)
    original = create(args, precision)
    if args.channels_last:
        original = original.to(memory_format=torch.channels_last)
    original.train()
    optimizer = optimizer_of(original, "fused")
    model = torch.compile(original) if args.compile else original
    loss_of = open_clip.ClipLoss(local_loss=True, gather_with_grad=True, cache_labels=True)
    schedule = cosine_lr(optimizer, 5e-4, 100, 10_000)
    autocast = get_autocast(precision, device_type=args.device)
    print(json.dumps({
        "program": "open_clip", "version": open_clip.__version__, "torch": torch.__version__, "batch": args.batch,
        "parameters": sum(p.numel() for p in original.parameters()),
    }), flush=True)

    def step(number):
        schedule(number)
        optimizer.zero_grad()
        with autocast():
            loss = loss_of(**model(image, text), output_dict=True)["contrastive_loss"]
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            original.logit_scale.clamp_(0, math.log(100))
        return loss

    def run(first, count, warmup):
        if cuda:
            torch.cuda.synchronize()
        began = time.perf_counter()
        for number in range(first, first + count):
            loss = step(number)
        if cuda:
            torch.cuda.synchronize()
        seconds = (time.perf_counter() - began) / count
        print(json.dumps({"step": first, "warmup": warmup, "seconds": seconds, "loss": loss.item()}), flush=True)
        return seconds

    for number in range(args.warmup):
        run(number, 1, True)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    starts = range(0, args.steps, args.block)
    seconds = [run(args.warmup + at, min(args.block, args.steps - at), False) for at in starts]
    median = statistics.median(seconds)
    print(json.dumps({
        "median_s": median, "samples_per_s": args.batch / median, "peak_rss_mib": resident(),
        "peak_gpu_mib": torch.cuda.max_memory_allocated() / 2**20 if cuda else None,
    }), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--describe", action="store_true", help="print what the device is and leave")
    parser.add_argument("--config", default="configs/models/vit-b-32.json", help="a Hugging Face CLIP config.json")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--tokens", type=int, help="tokens of each caption; left out: the whole context")
    parser.add_argument("--precision", choices=["bf16", "pure_bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--block", type=int, default=5, help="steps between two readings of the clock")
    args = parser.parse_args()
    found = describe(args.device)
    if args.describe:
        return print(json.dumps(found))
    measure(args)


if __name__ == "__main__":
    main()
