"""Opens a model directory that we wrote, with the library it is meant for, and embeds given inputs.

What is compared, and why: a step folder is called a Hugging Face model directory only if transformers opens it
as it is, with nothing missing, nothing left over and nothing reshaped, and computes the same embeddings from
it. The image processor and the tokenizer of the directory are opened too, and must fit the model.

`reload.py MODEL_DIR IN.safetensors OUT.safetensors`

  IN:   pixel_values [B,3,H,W] f32, input_ids [B,T] i64; optionally pixels [B,H,W,3] u8: then the directory's
        image processor must turn these pictures (already of the model's size) into `pixel_values`
  OUT:  image_embeds, text_embeds [B,D] f32, unit norm; logit_scale [] (a logarithm, as stored)

`--captions FILE` (a JSON list of strings) writes `caption_ids` [N,T] i64 to OUT as well: the directory's
tokenizer, padded to the model's context.
`--library open_clip` opens `local-dir:MODEL_DIR` (open_clip_config.json beside the weights) with open_clip.

Exits non-zero, with a line that says what, on any missing, unexpected or misshapen tensor, on a processor or
tokenizer that does not open, and on ids that the model has no embedding for.
"""

import argparse
import json
import sys
from pathlib import Path


def with_transformers(folder, inputs, captions):
    import torch
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    model, report = CLIPModel.from_pretrained(folder, dtype="float32", output_loading_info=True)
    problems = {key: value for key, value in report.items() if value}
    if problems:
        sys.exit(f"reload.py: {folder}: transformers reports {problems}")
    for name in ("tokenizer.json", "preprocessor_config.json"):
        # without tokenizer.json transformers opens an empty tokenizer of three tokens and says nothing
        if not (folder / name).is_file():
            sys.exit(f"reload.py: {folder}: {name} is missing")
    processor = CLIPProcessor.from_pretrained(folder)
    text, vision = model.config.text_config, model.config.vision_config

    crop = processor.image_processor.crop_size
    if (crop["height"], crop["width"]) != (vision.image_size, vision.image_size):
        sys.exit(f"reload.py: {folder}: the image processor crops to {crop}, the model reads {vision.image_size} px")
    if len(processor.tokenizer) > text.vocab_size:
        sys.exit(f"reload.py: {folder}: the tokenizer has {len(processor.tokenizer)} tokens, the model {text.vocab_size}")
    end = processor.tokenizer.eos_token_id
    # 2: the text is pooled at the largest id, which has to be the end token
    if text.eos_token_id != end and (text.eos_token_id, end) != (2, len(processor.tokenizer) - 1):
        sys.exit(f"reload.py: {folder}: the tokenizer ends captions with {end}, the config says {text.eos_token_id}")
    # without tokenizer_config.json transformers sets no limit, and its users must pass max_length themselves
    if (folder / "tokenizer_config.json").exists() and processor.tokenizer.model_max_length != text.max_position_embeddings:
        sys.exit(
            f"reload.py: {folder}: the tokenizer truncates at {processor.tokenizer.model_max_length} tokens, "
            f"the model reads {text.max_position_embeddings}"
        )
    if "pixels" in inputs:
        pictures = [Image.fromarray(picture.numpy()) for picture in inputs["pixels"]]
        pixel_values = processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
        error = float((pixel_values - inputs["pixel_values"]).abs().max())
        if error > 1e-5:
            sys.exit(f"reload.py: {folder}: the image processor's pixel_values differ by {error}")

    model.eval()
    with torch.no_grad():
        out = model(input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"])
    tensors = {"image_embeds": out.image_embeds, "text_embeds": out.text_embeds, "logit_scale": model.logit_scale.detach()}
    if captions is not None:
        length = text.max_position_embeddings
        encoded = processor(text=captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        tensors["caption_ids"] = encoded["input_ids"]
    return tensors


def with_openclip(folder, inputs, captions):
    import open_clip
    import torch

    name = f"local-dir:{folder.resolve()}"
    model = open_clip.create_model(name, precision="fp32", output_dict=True, require_pretrained=True)
    ids = inputs["input_ids"]
    ids = torch.nn.functional.pad(ids, (0, model.context_length - ids.shape[1]), value=0)
    model.eval()
    with torch.no_grad():
        out = model(inputs["pixel_values"], ids)
    tensors = {"image_embeds": out["image_features"], "text_embeds": out["text_features"], "logit_scale": model.logit_scale.detach()}
    if captions is not None:
        tensors["caption_ids"] = open_clip.get_tokenizer(name)(captions)
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--library", choices=["transformers", "open_clip"], default="transformers")
    parser.add_argument("--captions", type=Path, help="JSON list of captions to tokenise as well")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not args.model.is_dir():
        sys.exit(f"reload.py: {args.model}: not a directory")  # or transformers would look for it on the hub

    import torch
    from safetensors.torch import load_file, save_file
    from transformers.utils import logging

    torch.set_num_threads(args.threads)
    logging.disable_progress_bar()
    inputs = load_file(args.inputs)
    captions = json.loads(args.captions.read_text()) if args.captions else None
    load = with_transformers if args.library == "transformers" else with_openclip
    tensors = load(args.model, inputs, captions)
    save_file({key: value.contiguous() for key, value in tensors.items()}, args.outputs, metadata={"library": args.library})


if __name__ == "__main__":
    main()
