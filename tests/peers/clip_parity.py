"""Golden for the model: one random CLIP, through transformers and through open_clip.

What is compared, and why: our towers, loss and backward pass must be the function that a Hugging Face
directory stands for. Each case draws a random CLIP (every bias, norm and scale moved away from 0, 1 and its
default, so that a swapped or forgotten tensor shows), saves it as transformers does, reopens it, and writes
what transformers computes. The same weights then go through open_clip, and the script itself fails unless the
two peers agree: a golden that its own authors dispute is worth nothing.

`clip_parity.py --out DIR --case NAME` writes

  DIR/model/                      config.json, weights (one file or shards with an index), tokenizer.json,
                                  tokenizer_config.json, preprocessor_config.json
  DIR/expected.safetensors        B pairs, T tokens, D embedding width; f32 unless said otherwise:
    pixels [B,H,W,3] u8           what a data loader hands over
    mean [3], std [3]             the image processor's, for pixels in 0..1
    pixel_values [B,3,H,W]        the same pictures normalised by transformers' CLIPImageProcessor
    input_ids [B,T] i64           captions of different lengths, padded
    image_embeds, text_embeds     [B,D], unit norm
    loss []                       symmetric InfoNCE, return_loss=True
    grad.NAME                     gradient of the loss for every parameter, by its transformers name
    openclip.image_embeds, openclip.text_embeds, openclip.loss, openclip.grad.NAME
                                  the same from open_clip, mapped back to transformers' names and layouts

Gradients of `k_proj.bias` are zero in exact arithmetic (softmax ignores what all its inputs share), and both
peers return rounding noise there. So a gradient is compared by its largest error over its own largest value,
and that of a `k_proj.bias` over the largest value of its `k_proj.weight`: `disagreement` below.
"""

import argparse
import json
import shutil
from pathlib import Path

from clip_tokenizer import FULL_MERGES, clip_tokenizer
from convert import openclip_model, openclip_to_hf

EMBED_TOLERANCE = 1e-5
LOSS_TOLERANCE = 1e-6
GRAD_TOLERANCE = 1e-4

OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]
OPENAI_STD = [0.26862954, 0.26130258, 0.27577711]

CAPTIONS = [
    "a red cotton dress with white dots, size 38",
    "mug",
    "## 12 oz. <sku> stainless steel bottle ##",
    "Don't miss: oak coffee table, 120x60 cm, walnut finish, matte, seats four, free shipping!!",
    "blue suede shoes",
    "NEW!! 2-pack of striped linen cushions",
    "",
    "naïve café poster — 50 × 70",
]


def tower(width, heads, layers, **more):
    return {"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers, "intermediate_size": 4 * width} | more


# text, vision: transformers' config fields; the rest is this script's:
# merges: size of the tokenizer (vocabulary = 514 + merges); extra: tokens added above the end token;
# legacy_eos: config says eos_token_id = 2, as OpenAI's files do; pad: `zero`, `end`, or `longest` (to the
# longest caption of the batch, with the end token); fill: every caption fills the context; shard: size limit
# per weight file; dtype: of the saved weights.
CASES = {
    "tiny-quick-gelu": dict(
        about="OpenAI style: quick_gelu, eos_token_id = 2 (pooled at the largest id), padded with 0",
        text=tower(32, 2, 2, hidden_act="quick_gelu"), vision=tower(32, 2, 2, image_size=32, patch_size=8, hidden_act="quick_gelu"),
        projection_dim=24, context=24, merges=86, legacy_eos=True, pad="zero", batch=8, seed=1,
    ),
    "tiny-gelu": dict(
        about="LAION style: gelu, the end token's real id (pooled where it comes first), tokens with larger ids in the captions, padded to the longest",
        text=tower(32, 4, 2, hidden_act="gelu"), vision=tower(48, 4, 2, image_size=32, patch_size=8, hidden_act="gelu"),
        projection_dim=32, context=48, merges=600, extra=["<sku>", "<brand>"], pad="longest", batch=6, seed=2,
    ),
    "odd-shapes": dict(
        about="towers that share no number: widths, heads, layers, patch 7 of 42 px, projection, layer_norm_eps, own mean and std",
        text=tower(40, 5, 3, hidden_act="gelu", intermediate_size=104, layer_norm_eps=1e-3),
        vision=tower(36, 3, 1, hidden_act="gelu", intermediate_size=100, image_size=42, patch_size=7, layer_norm_eps=5e-3),
        projection_dim=20, context=33, merges=333, pad="end", batch=5, seed=3, mean=[0.5, 0.4, 0.3], std=[0.2, 0.25, 0.3],
    ),
    "longest": dict(
        about="every caption longer than the context: truncated, the end token last, no padding",
        text=tower(32, 2, 2, hidden_act="quick_gelu"), vision=tower(32, 2, 2, image_size=28, patch_size=14, hidden_act="quick_gelu"),
        projection_dim=16, context=16, merges=200, pad="end", fill=True, batch=7, seed=4,
    ),
    "sharded": dict(
        about="weights in several files with an index",
        text=tower(32, 2, 2, hidden_act="quick_gelu"), vision=tower(32, 2, 2, image_size=32, patch_size=16, hidden_act="quick_gelu"),
        projection_dim=32, context=24, merges=86, pad="end", batch=4, seed=5, shard="60KB",
    ),
    "half": dict(
        about="weights stored in float16, computed in float32",
        text=tower(32, 2, 2, hidden_act="quick_gelu"), vision=tower(32, 2, 2, image_size=32, patch_size=16, hidden_act="quick_gelu"),
        projection_dim=32, context=24, merges=86, legacy_eos=True, pad="end", batch=4, seed=6, dtype="float16",
    ),
    "vit-b-32": dict(
        about="the shape and tokenizer of OpenAI's ViT-B/32 (151 million parameters; expected.safetensors is 1.2 GB)",
        text=tower(512, 8, 12, hidden_act="quick_gelu"), vision=tower(768, 12, 12, image_size=224, patch_size=32, hidden_act="quick_gelu"),
        projection_dim=512, context=77, merges=FULL_MERGES, legacy_eos=True, pad="zero", batch=4, seed=7,
    ),
}


def random_model(case, config):
    """A `CLIPModel` with transformers' own initialisation, then every parameter moved off its special values."""
    import torch
    from transformers import CLIPModel

    torch.manual_seed(case["seed"])
    model = CLIPModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if name == "logit_scale":
                parameter.fill_(3.3)
            elif name.endswith(".bias"):
                parameter.copy_(0.1 * noise)
            elif "norm" in name or "layrnorm" in name:
                parameter.copy_(1 + 0.2 * noise)
            elif "embedding" in name and "patch" not in name:
                # 0.02 would leave captions nearly alike; real tables are larger
                parameter.copy_(0.2 * noise)
            else:
                # the initial attention is nearly uniform and would hide a wrong scale or mask
                parameter.mul_(1.5).add_(noise, alpha=0.01)
    return model


def captions(case):
    """One caption per row, cut or stretched as the case says."""
    rows = [CAPTIONS[row % len(CAPTIONS)] for row in range(case["batch"])]
    if case.get("fill"):
        rows = [(f"{row} {text} " * case["context"])[: 40 * case["context"]] for row, text in enumerate(rows)]
    return rows


def token_ids(case, tokenizer):
    import torch

    how = "longest" if case["pad"] == "longest" else "max_length"
    encoded = tokenizer(captions(case), padding=how, truncation=True, max_length=case["context"], return_tensors="pt")
    ids = encoded["input_ids"]
    if case["pad"] == "zero":
        ids = torch.where(encoded["attention_mask"].bool(), ids, 0)
    ends = (ids == tokenizer.eos_token_id).any(dim=1)
    assert ends.all(), "every caption keeps its end token"
    return ids.contiguous()


def pictures(case):
    """Blobs over noise, u8 [B,H,W,3]: neither constant nor white noise, so that patches differ."""
    import torch

    side = case["vision"]["image_size"]
    generator = torch.Generator().manual_seed(1000 + case["seed"])
    coarse = torch.rand(case["batch"], 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    noise = torch.rand(case["batch"], 3, side, side, generator=generator)
    return (255 * (0.8 * smooth + 0.2 * noise)).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def save_model(case, folder):
    """Writes the Hugging Face directory of a case and returns its tokenizer and image processor."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPVisionConfig

    tokenizer = clip_tokenizer(case["merges"], case["context"], case.get("extra", ()))
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    if case.get("legacy_eos"):
        ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    text = case["text"] | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": case["context"]}
    # The towers' own projection_dim is not read by CLIPModel; written as real files have it.
    shared = {"projection_dim": case["projection_dim"]}
    config = CLIPConfig(
        text_config=CLIPTextConfig(**text, **shared).to_dict(),
        vision_config=CLIPVisionConfig(**case["vision"], **shared).to_dict(),
        **shared,
    )
    model = random_model(case, config)
    if "dtype" in case:
        model = model.to(getattr(torch, case["dtype"]))
    model.save_pretrained(folder, **({"max_shard_size": case["shard"]} if "shard" in case else {}))
    tokenizer.save_pretrained(folder)
    side = case["vision"]["image_size"]
    processor = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side},
        image_mean=case.get("mean", OPENAI_MEAN), image_std=case.get("std", OPENAI_STD),
    )
    processor.save_pretrained(folder)
    return tokenizer, processor


def disagreement(ours, theirs):
    """The largest error of any gradient, relative as the module docstring says, and the parameter it is in."""
    worst = (0.0, "")
    for name, tensor in theirs.items():
        yardstick = theirs[name.replace("k_proj.bias", "k_proj.weight")]
        error = (ours[name] - tensor).abs().max() / yardstick.abs().max()
        worst = max(worst, (float(error), name))
    return worst


def through_transformers(folder, pixel_values, ids):
    from transformers import CLIPModel

    model, report = CLIPModel.from_pretrained(folder, dtype="float32", output_loading_info=True)
    problems = {key: value for key, value in report.items() if value}
    assert not problems, f"transformers cannot reopen its own directory: {problems}"
    out = model(input_ids=ids, pixel_values=pixel_values, return_loss=True)
    out.loss.backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    return model, out.image_embeds.detach(), out.text_embeds.detach(), out.loss.detach(), grads


def through_openclip(hf, pixel_values, ids):
    import torch
    from open_clip.loss import ClipLoss

    model = openclip_model(hf.config, hf.state_dict())
    # open_clip always reads a full context; causal attention makes what follows the end token irrelevant
    ids = torch.nn.functional.pad(ids, (0, model.context_length - ids.shape[1]), value=0)
    out = model(pixel_values, ids)
    loss = ClipLoss()(out["image_features"], out["text_features"], out["logit_scale"])
    loss.backward()
    grads = openclip_to_hf({name: parameter.grad for name, parameter in model.named_parameters()})
    return out["image_features"].detach(), out["text_features"].detach(), loss.detach(), grads


def build(name, out):
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    case = CASES[name]
    folder = out / "model"
    if folder.exists():
        shutil.rmtree(folder)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer, processor = save_model(case, folder)

    pixels, ids = pictures(case), token_ids(case, tokenizer)
    pixel_values = processor([Image.fromarray(picture.numpy()) for picture in pixels], return_tensors="pt")["pixel_values"].contiguous()
    mean, std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    by_hand = ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    normalised = float((by_hand - pixel_values).abs().max())
    assert normalised < 1e-5, f"the image processor changed the picture: {normalised}"

    hf, image, text, loss, grads = through_transformers(folder, pixel_values, ids)
    oc_image, oc_text, oc_loss, oc_grads = through_openclip(hf, pixel_values, ids)
    assert set(grads) == set(oc_grads) == set(hf.state_dict()), "every stored tensor is a parameter with a gradient"

    embeds = max(float((image - oc_image).abs().max()), float((text - oc_text).abs().max()))
    losses = abs(float(loss) - float(oc_loss))
    worst, where = disagreement(grads, oc_grads)
    summary = {
        "case": name, "batch": case["batch"], "tokens": ids.shape[1], "loss": float(loss),
        "normalisation_error": normalised, "embeds_error": embeds, "loss_error": losses, "grad_error": worst, "grad_error_in": where,
    }
    print(json.dumps(summary))
    assert embeds < EMBED_TOLERANCE, f"transformers and open_clip embeddings differ by {embeds}"
    assert losses < LOSS_TOLERANCE * max(1.0, abs(float(loss))), f"transformers and open_clip losses differ by {losses}"
    assert worst < GRAD_TOLERANCE, f"transformers and open_clip gradients of {where} differ by {worst}, relatively"

    tensors = {
        "pixels": pixels, "mean": mean, "std": std, "pixel_values": pixel_values, "input_ids": ids,
        "image_embeds": image, "text_embeds": text, "loss": loss,
        "openclip.image_embeds": oc_image, "openclip.text_embeds": oc_text, "openclip.loss": oc_loss,
    }
    tensors |= {f"grad.{key}": value for key, value in grads.items()}
    tensors |= {f"openclip.grad.{key}": value for key, value in oc_grads.items()}
    metadata = {"case": name, "about": case["about"], "torch": torch.__version__}
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / "expected.safetensors", metadata=metadata)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder to write; each case of several gets its own below it")
    parser.add_argument("--case", action="append", choices=CASES, help="may be repeated")
    parser.add_argument("--list", action="store_true", help="name the cases and leave")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.list:
        for name, case in CASES.items():
            print(f"{name}\t{case['about']}")
        return
    if args.out is None or not args.case:
        parser.error("--out and --case are needed")

    import torch
    from transformers.utils import logging

    torch.set_num_threads(args.threads)
    logging.disable_progress_bar()
    for name in args.case:
        build(name, args.out if len(args.case) == 1 else args.out / name)


if __name__ == "__main__":
    main()
