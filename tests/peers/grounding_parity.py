"""Golden for the detector: one random GroundingDINO, through transformers' model and processor.

What is compared, and why: pixel values, masks and token ids, logits and boxes, and what post-processing makes of
them must be what a Hugging Face directory stands for, on pictures of many sizes, alone and in batches, with one
phrase or several.

The decoder starts from the places whose scores are highest, and its learnt queries are tied to their order. Two
places of nearly equal score change places by rounding alone. So f64 is compared as it is; in f32 the script looks
at the gaps between the chosen scores, and `--shape published-tiny`, where 900 of thousands of places are chosen
and gaps are always small, gets queries that all start alike (`--alike`): then the order cannot matter, and boxes
are compared as sets.

`grounding_parity.py --out DIR --shape NAME` writes

  DIR/model/                  see grounding_model.py
  DIR/batches.json            a list of batches: pictures (numbers), phrases, box_threshold, text_threshold,
                              detections per picture (box, score, phrase), smallest_gap between chosen
                              scores, own_rounding (of transformers, f32 beside f64)
  DIR/expected.safetensors    picture.P [H,W,3] u8; for each batch N
    N.pixel_values [B,3,h,w] f32, N.pixel_mask [B,h,w] i64, N.input_ids [B,T] i64
    N.logits [B,Q,256], N.boxes [B,Q,4]          f32
    N.logits64, N.boxes64                        f64
"""

import argparse
import json
from pathlib import Path

import grounding_model

SIZES = [(61, 97), (120, 80), (33, 50), (200, 31), (64, 64), (90, 160)]
PHRASES = ["handbag", "Red Shoe . mug", " a cat. a dog? blue chair.", "Striped wooden-lamp, with dots"]
# Pictures and phrases by number.
BATCHES = [([0], [0]), ([1], [2]), ([2, 0], [1, 0]), ([3, 5, 4], [2, 3, 0]), ([5, 1, 0, 2], [3, 1, 2, 0]), ([4, 4], [0, 0])]


def pictures():
    """Waves of many frequencies with noise, as u8 arrays [H, W, 3]."""
    import numpy as np

    random = np.random.default_rng(5)
    drawn = []
    for height, width in SIZES:
        y, x = np.mgrid[0:height, 0:width]
        waves = sum(
            random.normal() * np.sin(random.uniform(0, 0.5, 2) @ np.stack([y.ravel(), x.ravel()]) + phase).reshape(height, width, 1)
            * random.uniform(20, 60, 3)
            for phase in range(5)
        )
        drawn.append(np.clip(128 + waves + random.normal(0, 12, (height, width, 3)), 0, 255).astype("u1"))
    return drawn


def between(values, low, high):
    """A threshold in the middle of the widest gap between the given quantiles of `values`."""
    import numpy as np

    values = np.sort(values)
    part = values[int(low * (len(values) - 1)) : int(high * (len(values) - 1)) + 2]
    widest = int(np.argmax(np.diff(part)))
    return float((part[widest] + part[widest + 1]) / 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shape", choices=grounding_model.SHAPES, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=len(BATCHES), help="only the last so many")
    parser.add_argument("--shortest", type=int, help="the image processor's shortest_edge; longest_edge is twice as much")
    parser.add_argument("--alike", action="store_true", help="every query starts from the same embedding")
    parser.add_argument("--only", choices=["f32", "f64"], help="leave the other one out")
    args = parser.parse_args()

    import torch
    from safetensors.torch import save_file
    from transformers import AutoProcessor, GroundingDinoForObjectDetection

    torch.set_num_threads(2)

    def alike(model):
        if args.alike:
            with torch.no_grad():
                table = model.model.query_position_embeddings.weight
                table.copy_(table[:1].expand_as(table).clone())

    directory = args.out / "model"
    grounding_model.write(directory, args.shape, args.seed, alike)
    for name in ("preprocessor_config.json", "processor_config.json") if args.shortest else ():
        config = json.loads((directory / name).read_text())
        config.get("image_processor", config)["size"] = {"shortest_edge": args.shortest, "longest_edge": 2 * args.shortest}
        (directory / name).write_text(json.dumps(config))
    processor = AutoProcessor.from_pretrained(directory)
    model = GroundingDinoForObjectDetection.from_pretrained(directory, dtype=torch.float32).eval()
    drawn = pictures()
    expected = {f"picture.{n}": torch.from_numpy(picture) for n, picture in enumerate(drawn)}
    batches = []
    for n, (numbers, phrases) in enumerate(BATCHES[-args.batches :]):
        chosen = [drawn[number] for number in numbers]
        phrases = [PHRASES[phrase] for phrase in phrases]
        labels = [[label for label in phrase.split(".") if label.strip()] for phrase in phrases]
        inputs = processor(images=chosen, text=labels, padding=True, return_tensors="pt")
        batch = {"pictures": numbers, "phrases": phrases}
        for name in ("pixel_values", "pixel_mask", "input_ids"):
            expected[f"{n}.{name}"] = inputs[name].contiguous()
        found = {}
        for suffix, dtype in (("", torch.float32), ("64", torch.float64)):
            if args.only == ("f64" if suffix == "" else "f32"):
                continue
            # transformers makes some tensors in the default dtype.
            torch.set_default_dtype(dtype)
            model.to(dtype)
            with torch.no_grad():
                found[suffix] = outputs = model(**(inputs | {"pixel_values": inputs["pixel_values"].to(dtype)}))
            torch.set_default_dtype(torch.float32)
            expected[f"{n}.logits{suffix}"] = outputs.logits.contiguous()
            expected[f"{n}.boxes{suffix}"] = outputs.pred_boxes.contiguous()
            scores = outputs.enc_outputs_class.max(-1).values
            best, places = scores.topk(min(model.config.num_queries + 1, scores.shape[1]))
            gaps = best[:, :-1] - best[:, 1:]
            # Places in padding are all alike: which of them is chosen changes nothing.
            none = outputs.enc_outputs_coord_logits.isinf().any(-1).gather(1, places)
            gaps = gaps.masked_fill(none[:, :-1] & none[:, 1:], float("inf"))
            batch["smallest_gap"] = float(gaps[:, -1 if args.alike else 0 :].min().clamp(max=1e9))
        if len(found) == 2:
            of = {suffix: outputs.logits.double().nan_to_num(neginf=0) for suffix, outputs in found.items()}
            batch["own_rounding"] = float((of[""] - of["64"]).abs().max())
        outputs = found.get("", found.get("64"))
        shares = outputs.logits.sigmoid()
        batch["box_threshold"] = between(shares.max(-1).values.flatten().numpy(), 0.5, 0.9)
        batch["text_threshold"] = between(shares[shares > 0].flatten().numpy(), 0.3, 0.8)
        results = processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=batch["box_threshold"], text_threshold=batch["text_threshold"],
            target_sizes=[picture.shape[:2] for picture in chosen],
        )
        batch["detections"] = [
            [
                {"box": box, "score": score, "phrase": phrase}
                for box, score, phrase in zip(result["boxes"].tolist(), result["scores"].tolist(), result["text_labels"])
            ]
            for result in results
        ]
        batches.append(batch)
    save_file(expected, args.out / "expected.safetensors")
    (args.out / "batches.json").write_text(json.dumps(batches, indent=1))


if __name__ == "__main__":
    main()
