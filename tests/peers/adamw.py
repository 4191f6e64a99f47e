"""Golden for the optimiser: torch.optim.AdamW as open_clip's trainer sets it up, step by step.

What is compared, and why: an update is right only if the learning-rate schedule, the clipping, the two
parameter groups and the order of AdamW's operations all are. So the golden holds every intermediate value of
a few steps on a few small tensors with given gradients, and our optimiser is checked after each step, not at
the end. No model is involved. The settings are open_clip's for ViTs: betas 0.9 and 0.98, eps 1e-6, weight decay
0.2 on matrices only; `cosine_lr` with warm-up; `clip_grad_norm_` over all parameters together. Gradients grow
with the step, so the first ones are below the clipping norm and the later ones above it.

`adamw.py --out FILE` writes (S counts from 0; NAME is a parameter, f32; shapes include [] and [out,in,kh,kw]):

  start.NAME                        before the first step
  step.S.grad.NAME                  the gradient handed over, before clipping
  step.S.norm []                    its norm over all parameters, before clipping
  step.S.lr [] f64                  the learning rate used
  step.S.param.NAME                 after the step
  step.S.exp_avg.NAME, step.S.exp_avg_sq.NAME   AdamW's state after the step

File metadata: `settings` (JSON: base_lr, warmup, steps, betas, eps, weight_decay, max_norm) and `decayed`
(JSON list of the parameters with weight decay). `logit_scale` is not clamped here: that is the loop's.
The script fails unless PyTorch's own three implementations (plain, foreach, fused) agree.
"""

import argparse
import json
from pathlib import Path

SHAPES = {
    "logit_scale": [],
    "text_model.embeddings.token_embedding.weight": [13, 6],
    "text_model.encoder.layers.0.layer_norm1.bias": [6],
    "text_model.encoder.layers.0.layer_norm1.weight": [6],
    "text_model.encoder.layers.0.mlp.fc1.bias": [24],
    "text_model.encoder.layers.0.mlp.fc1.weight": [24, 6],
    "vision_model.embeddings.class_embedding": [5],
    "vision_model.embeddings.patch_embedding.weight": [5, 3, 4, 4],
    "vision_model.embeddings.position_embedding.weight": [17, 5],
    "vision_model.pre_layrnorm.weight": [5],
    "visual_projection.weight": [7, 5],
}

SETTINGS = {"base_lr": 1e-2, "warmup": 2, "steps": 8, "betas": [0.9, 0.98], "eps": 1e-6, "weight_decay": 0.2, "max_norm": 1.0}
STEPS = 5


def decays(shape):
    """open_clip's rule on these names: what has fewer than two dimensions (biases, norms, scale, class token) has no decay."""
    return len(shape) >= 2


def start():
    import torch

    generator = torch.Generator().manual_seed(11)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def gradients(step):
    import torch

    generator = torch.Generator().manual_seed(100 + step)
    size = 10.0 ** (step - 3)  # norms from about 0.02 to 200, across max_norm
    return {name: size * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def run(implementation):
    """Every intermediate value of the golden, by `foreach`, `fused` or `plain` AdamW."""
    import torch
    from open_clip_train.scheduler import cosine_lr

    parameters = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in start().items()}
    groups = [
        {"params": [p for p in parameters.values() if not decays(p.shape)], "weight_decay": 0.0},
        {"params": [p for p in parameters.values() if decays(p.shape)], "weight_decay": SETTINGS["weight_decay"]},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=SETTINGS["base_lr"], betas=SETTINGS["betas"], eps=SETTINGS["eps"],
        foreach=implementation == "foreach", fused=implementation == "fused",
    )
    schedule = cosine_lr(optimizer, SETTINGS["base_lr"], SETTINGS["warmup"], SETTINGS["steps"])
    out = {f"start.{name}": tensor for name, tensor in start().items()}
    for step in range(STEPS):
        lr = schedule(step)
        given = gradients(step)
        for name, parameter in parameters.items():
            parameter.grad = given[name].clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), SETTINGS["max_norm"])
        optimizer.step()
        at = f"step.{step}"
        out[f"{at}.norm"] = norm
        out[f"{at}.lr"] = torch.tensor(lr, dtype=torch.float64)
        for name, parameter in parameters.items():
            out[f"{at}.grad.{name}"] = given[name]
            out[f"{at}.param.{name}"] = parameter.detach().clone()
            for state in ("exp_avg", "exp_avg_sq"):
                out[f"{at}.{state}.{name}"] = optimizer.state[parameter][state].clone()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--implementation", choices=["plain", "foreach", "fused"], default="fused", help="whose numbers to write")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(args.threads)
    results = {name: run(name) for name in ("plain", "foreach", "fused")}
    chosen = results[args.implementation]
    spread = {}
    for name, result in results.items():
        spread[name] = max(float(((result[key] - value).abs() / (value.abs() + 1e-6)).max()) for key, value in chosen.items())
        assert spread[name] < 1e-4, f"{name} AdamW differs from {args.implementation} by {spread[name]}, relatively"
    norms = [float(chosen[f"step.{step}.norm"]) for step in range(STEPS)]
    rates = [float(chosen[f"step.{step}.lr"]) for step in range(STEPS)]
    print(json.dumps({"norms": norms, "lr": rates, "largest_relative_difference": spread}))
    decayed = [name for name, shape in SHAPES.items() if decays(shape)]
    save_file(chosen, args.out, metadata={"settings": json.dumps(SETTINGS), "decayed": json.dumps(decayed), "torch": torch.__version__})


if __name__ == "__main__":
    main()
