"""What a training step has to compute, and the most that a device computes and moves.

A matrix product of [m, k] and [k, n] is 2 m k n FLOPs. Forward, per pair, for both towers over the whole
context, causal attention counted in full, with T positions, width D, hidden width M, E of the embedding:

    block         2 T (4 D^2 + 2 D M) + 4 T^2 D     query, key, value, output, MLP; scores and mixing
    patches       2 P 3 p^2 D                       P patches of p x p px
    projection    2 D E

A step is three times that: the backward pass has two products for every one of the forward pass. The loss,
the optimiser, norms and activations are left out, and so is what recomputation adds. So this is the model's
work, the same for both programs, whatever they save or spend on it (PaLM, arXiv 2204.02311, appendix B).
"""

import json
from pathlib import Path

# Dense bf16 TFLOP/s and memory TB/s by the name that CUDA gives: NVIDIA's data sheets. Names are whole:
# the PCIe and NVL kinds of these are slower.
PEAKS = {
    "NVIDIA H100 80GB HBM3": (989.4, 3.35),
    "NVIDIA H200": (989.4, 4.8),
    "NVIDIA A100-SXM4-40GB": (312.0, 1.555),
    "NVIDIA A100-SXM4-80GB": (312.0, 2.039),
    "NVIDIA A100 80GB PCIe": (312.0, 1.935),
}

# Bytes of one AdamW update per f32 parameter: weight, gradient and both moments read, all but the gradient
# written.
ADAMW_BYTES = 28


def blocks(shape, positions):
    width, hidden = shape["hidden_size"], shape["intermediate_size"]
    block = 2 * positions * (4 * width**2 + 2 * width * hidden) + 4 * positions**2 * width
    return shape["num_hidden_layers"] * block


def forward(config):
    """FLOPs of one pair's forward pass by tower, from a Hugging Face CLIP `config.json`."""
    shape = json.loads(Path(config).read_text())
    image, text, embedding = shape["vision_config"], shape["text_config"], shape["projection_dim"]
    patches = (image["image_size"] // image["patch_size"]) ** 2
    patching = 2 * patches * 3 * image["patch_size"] ** 2 * image["hidden_size"]
    return {
        "image": patching + blocks(image, patches + 1) + 2 * image["hidden_size"] * embedding,
        "text": blocks(text, text["max_position_embeddings"]) + 2 * text["hidden_size"] * embedding,
    }


def step(config):
    """FLOPs of one pair's training step."""
    return 3 * sum(forward(config).values())
