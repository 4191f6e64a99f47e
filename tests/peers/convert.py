"""One CLIP, two spellings: Hugging Face `transformers` names and open_clip names.

What is compared, and why: nothing here by itself. `clip_parity.py` runs the same random weights through
both libraries and needs them spelled both ways; the test of `vlclip export --format openclip` needs an
independent opinion on the same table. The map is a bijection on values:

  * q/k/v projections (three matrices in transformers) are one `in_proj` in open_clip, stacked in that order;
  * the two output projections are `nn.Linear` weights [D, width] in transformers and plain matrices
    [width, D] in open_clip, so they are transposed;
  * everything else only changes its name. Gradients map exactly as weights do.

As a program: `convert.py HF_DIR OUT_DIR` writes `open_clip_model.safetensors` and `open_clip_config.json`
(open_clip loads OUT_DIR as `local-dir:OUT_DIR`); with `--to hf` it goes back, from such a directory to
`model.safetensors` alone.
"""

import argparse
import json
import re
from pathlib import Path

TOWERS = {"text_model.encoder.layers.": "transformer.resblocks.", "vision_model.encoder.layers.": "visual.transformer.resblocks."}

BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}

OUTSIDE = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "visual_projection.weight": "visual.proj",
}

TRANSPOSED = {"text_projection.weight", "visual_projection.weight"}


def openclip_arguments(config):
    """The keyword arguments of `open_clip.model.CLIP` for a `transformers.CLIPConfig`."""
    text, vision = config.text_config, config.vision_config
    acts = {text.hidden_act, vision.hidden_act}
    if acts not in ({"quick_gelu"}, {"gelu"}):
        raise ValueError(f"open_clip has one activation for both towers, gelu or quick_gelu; the config has {sorted(acts)}")
    if vision.hidden_size % vision.num_attention_heads:
        raise ValueError("open_clip derives the number of image heads from a whole head width")

    def ratio(tower):
        # open_clip takes int(width * ratio): aim half a unit above the wanted width, so that rounding cannot miss it.
        return (tower.intermediate_size + 0.5) / tower.hidden_size

    return {
        "embed_dim": config.projection_dim,
        "quick_gelu": acts == {"quick_gelu"},
        "vision_cfg": {
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "width": vision.hidden_size,
            "layers": vision.num_hidden_layers,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "mlp_ratio": ratio(vision),
            "norm_kwargs": {"eps": vision.layer_norm_eps},
        },
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            "mlp_ratio": ratio(text),
            "norm_kwargs": {"eps": text.layer_norm_eps},
            # transformers pools at the largest id when the config says eos_token_id = 2 (files older than its
            # PR 24773) and at the first eos_token_id otherwise.
            "pool_type": "argmax" if text.eos_token_id == 2 else "eos",
            "eos_id": text.eos_token_id,
        },
    }


def hf_to_openclip(tensors):
    """Renames, stacks and transposes a full transformers state (or its gradients) to open_clip's."""
    import torch

    out, taken = {}, set()
    for name, tensor in tensors.items():
        if name in OUTSIDE:
            out[OUTSIDE[name]] = tensor.t().contiguous() if name in TRANSPOSED else tensor
            taken.add(name)
            continue
        for prefix, target in TOWERS.items():
            match = re.fullmatch(re.escape(prefix) + r"(\d+)\.(.+)\.(weight|bias)", name)
            if not match:
                continue
            layer, module, kind = match.groups()
            if module in BLOCK:
                out[f"{target}{layer}.{BLOCK[module]}.{kind}"] = tensor
                taken.add(name)
            elif module == "self_attn.q_proj":
                parts = [f"{prefix}{layer}.self_attn.{p}_proj.{kind}" for p in "qkv"]
                out[f"{target}{layer}.attn.in_proj_{kind}"] = torch.cat([tensors[p] for p in parts])
                taken.update(parts)
    left = sorted(set(tensors) - taken)
    if left:
        raise ValueError(f"no open_clip name for {left}")
    return out


def openclip_to_hf(tensors):
    """The inverse of `hf_to_openclip`."""
    outside = {v: k for k, v in OUTSIDE.items()}
    block = {v: k for k, v in BLOCK.items()}
    out = {}
    for name, tensor in tensors.items():
        if name in outside:
            hf = outside[name]
            out[hf] = tensor.t().contiguous() if hf in TRANSPOSED else tensor
            continue
        for prefix, target in TOWERS.items():
            match = re.fullmatch(re.escape(target) + r"(\d+)\.(.+)[._](weight|bias)", name)
            if not match:
                continue
            layer, module, kind = match.groups()
            if module == "attn.in_proj":
                for part, piece in zip("qkv", tensor.chunk(3)):
                    out[f"{prefix}{layer}.self_attn.{part}_proj.{kind}"] = piece.contiguous()
            elif module in block:
                out[f"{prefix}{layer}.{block[module]}.{kind}"] = tensor
            else:
                raise ValueError(f"no transformers name for {name}")
            break
        else:
            raise ValueError(f"no transformers name for {name}")
    return out


def openclip_model(config, state):
    """An `open_clip.model.CLIP` of the shape of a transformers config, carrying a transformers state."""
    from open_clip.model import CLIP

    model = CLIP(**openclip_arguments(config), output_dict=True)
    # strict: a missing or unexpected tensor is an error
    model.load_state_dict(hf_to_openclip(state), strict=True)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--to", choices=["openclip", "hf"], default="openclip")
    args = parser.parse_args()

    from safetensors.torch import load_file, save_file

    args.target.mkdir(parents=True, exist_ok=True)
    if args.to == "hf":
        state = load_file(args.source / "open_clip_model.safetensors")
        save_file(openclip_to_hf(state), args.target / "model.safetensors", metadata={"format": "pt"})
        return

    from transformers import CLIPConfig, CLIPModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = CLIPConfig.from_pretrained(args.source)
    state = CLIPModel.from_pretrained(args.source, dtype="float32").state_dict()
    save_file(hf_to_openclip(state), args.target / "open_clip_model.safetensors", metadata={"format": "pt"})
    preprocess = json.loads((args.source / "preprocessor_config.json").read_text())
    document = {
        "model_cfg": openclip_arguments(config),
        "preprocess_cfg": {"mean": preprocess["image_mean"], "std": preprocess["image_std"]},
    }
    (args.target / "open_clip_config.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
