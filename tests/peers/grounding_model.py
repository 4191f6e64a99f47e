"""Random GroundingDINO directories as transformers writes them, built without downloading anything.

Every tensor is moved away from its default (zero biases, unit norms, layer scales of 1e-4), so that a swapped
or forgotten one shows, and products are scaled so that signals neither die nor explode. The tokenizer is a
BERT of few words that keeps the ids at which GroundingDINO splits phrases: [CLS] 101, [SEP] 102, full stop
1012, question mark 1029.

`grounding_model.py --out DIR [--shape NAME] [--seed N]` writes config.json, model.safetensors, tokenizer.json,
tokenizer_config.json and preprocessor_config.json.
"""

import argparse
import json
import math
import string
from pathlib import Path

WORDS = """a an the red blue green black white shoe shoes handbag hand bag mug coffee table dress chair sofa lamp
cat dog bird sweater with dots and striped wooden leather""".split()

# backbone and text: fields of SwinConfig and BertConfig; size: of the image processor; the rest: fields of
# GroundingDinoConfig and of `build`.
TINY_TEXT = dict(vocab_size=1100, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=300)
SHAPES = {
    # windows that do not divide the map, four levels of which two are added, one box head
    "levels": dict(
        backbone=dict(embed_dim=8, depths=[2, 2, 2], num_heads=[1, 2, 4], window_size=3, out_features=["stage2", "stage3"]),
        text=TINY_TEXT, d_model=32, num_queries=9, encoder_layers=2, decoder_layers=3, encoder_ffn_dim=64, decoder_ffn_dim=48,
        encoder_attention_heads=4, decoder_attention_heads=4, num_feature_levels=4, size=(64, 107),
    ),
    # a box head for each layer, no added level, no bias in the backbone's attention, other activations
    "unshared": dict(
        backbone=dict(embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=7, out_features=["stage1", "stage2"], qkv_bias=False, mlp_ratio=2.5, hidden_act="gelu_new"),
        text=TINY_TEXT, d_model=64, num_queries=12, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=64,
        encoder_attention_heads=8, decoder_attention_heads=2, num_feature_levels=2, encoder_n_points=2, decoder_n_points=3,
        decoder_bbox_embed_share=False, activation_function="gelu", size=(48, 90),
    ),
    # four stages, three used, five levels, odd sizes, even windows; weights in shards
    "shards": dict(
        backbone=dict(embed_dim=8, depths=[2, 1, 3, 1], num_heads=[2, 2, 4, 4], window_size=4, out_features=["stage2", "stage3", "stage4"]),
        text=TINY_TEXT | dict(hidden_size=24, num_attention_heads=3), d_model=64, num_queries=20, encoder_layers=3, decoder_layers=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=8, num_feature_levels=5,
        positional_embedding_temperature=10000, size=(75, 131), shard="300KB",
    ),
    # one level; weights in half precision
    "single": dict(
        backbone=dict(embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=5, out_features=["stage2"]),
        text=TINY_TEXT, d_model=32, num_queries=6, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=4, decoder_attention_heads=4, num_feature_levels=1, size=(40, 70), half=True,
    ),
    # IDEA-Research/grounding-dino-tiny: Swin-T, BERT base, the defaults of GroundingDinoConfig
    "published-tiny": dict(backbone=dict(out_features=["stage2", "stage3", "stage4"]), text=dict(), size=(800, 1333)),
    # IDEA-Research/grounding-dino-base
    "published-base": dict(
        backbone=dict(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32], window_size=12, image_size=384, out_features=["stage2", "stage3", "stage4"]),
        text=dict(), size=(800, 1333),
    ),
}


def tokenizer():
    """A `BertTokenizer` of few words and all letters."""
    from transformers import BertTokenizer

    fixed = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
    letters = string.ascii_lowercase + string.digits
    words = list(dict.fromkeys(list(letters) + ["##" + letter for letter in letters] + WORDS + ["##s", "##es", "-", ",", "'", "!", "é"]))
    vocab, ids = dict(fixed), set(fixed.values())
    for index in range(1100):
        if index not in ids:
            vocab[words.pop(0) if words and index > 103 else f"[unused{index}]"] = index
    return BertTokenizer(vocab=vocab)


def randomise(model, seed):
    """New values for every tensor of `model`."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def normal(like, std):
        return torch.randn(like.shape, generator=generator) * std

    for name, value in model.named_parameters():
        with torch.no_grad():
            if name.endswith(("sampling_offsets.bias", "relative_position_bias_table", "level_embed", "query_position_embeddings.weight")):
                value.add_(normal(value, 0.5))
            elif name.endswith("sampling_offsets.weight"):
                # Offsets count in pixels of noise: large ones would magnify every rounding.
                value.copy_(normal(value, 0.3 / math.sqrt(value[0].numel())))
            elif name.endswith(("vision_param", "text_param")):
                value.copy_(0.5 + normal(value, 0.1))
            elif "embeddings.weight" in name and "patch" not in name:
                value.copy_(normal(value, 0.5))
            elif value.ndim == 1 and name.endswith("weight"):
                value.copy_(1 + normal(value, 0.1))
            elif value.ndim == 1:
                value.add_(normal(value, 0.1))
            else:
                value.copy_(normal(value, 1 / math.sqrt(value[0].numel())))
    # Class scores are products over the whole width: brought into the range in which the sigmoid tells them apart.
    last = model.model.encoder.layers[-1].text_enhancer_layer.layer_norm_after
    with torch.no_grad():
        last.weight.mul_(2 / math.sqrt(last.weight.numel()))
        last.bias.mul_(2 / math.sqrt(last.weight.numel()))


def build(shape, seed=0):
    """A random `GroundingDinoForObjectDetection` of SHAPES[shape] and its processor."""
    import torch
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, GroundingDinoImageProcessor, GroundingDinoProcessor, SwinConfig

    fields = dict(SHAPES[shape])
    shortest, longest = fields.pop("size")
    fields.pop("shard", None), fields.pop("half", None)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(**fields.pop("backbone")), text_config=BertConfig(**fields.pop("text")), **fields
    )
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(config).eval()
    randomise(model, seed)
    images = GroundingDinoImageProcessor(size={"shortest_edge": shortest, "longest_edge": longest})
    return model, GroundingDinoProcessor(images, tokenizer())


def write(out, shape, seed=0, edit=None):
    """Writes the directory that vlclip loads; `edit` changes the model before."""
    model, processor = build(shape, seed)
    if edit is not None:
        edit(model)
    out.mkdir(parents=True, exist_ok=True)
    if SHAPES[shape].get("half"):
        model = model.half()
    model.save_pretrained(out, max_shard_size=SHAPES[shape].get("shard", "10GB"))
    processor.save_pretrained(out)
    # The published directories have a file of its own for the image processor.
    (out / "preprocessor_config.json").write_text(json.dumps(processor.image_processor.to_dict(), indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shape", choices=SHAPES, default="levels")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.shape, args.seed)
    print(f"{args.out}: {args.shape}, seed {args.seed}")


if __name__ == "__main__":
    main()
