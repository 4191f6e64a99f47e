"""Writes and reads safetensors with the reference library, for checkpoints/tests/safetensors.rs.

write DIR   DIR/model.safetensors, and DIR/sharded/ with two shards and their index
read FILE   prints metadata and tensors as JSON
"""

import json
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def tensors():
    return {
        "text.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4,
        "scale": torch.tensor(2.5, dtype=torch.float64),
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([1.5, -2.0, 3.0], dtype=torch.bfloat16),
        "ids": torch.tensor([[7, -1]], dtype=torch.int64),
        "small": torch.tensor([-3], dtype=torch.int32),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "mask": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 4),
    }


def write(folder):
    all_tensors = tensors()
    save_file(all_tensors, folder / "model.safetensors", metadata={"format": "pt"})
    sharded = folder / "sharded"
    sharded.mkdir()
    names = sorted(all_tensors)
    weight_map = {}
    for i, part in enumerate([names[:4], names[4:]], start=1):
        file = f"model-{i:05d}-of-00002.safetensors"
        save_file({n: all_tensors[n] for n in part}, sharded / file, metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))


def read(file):
    with safe_open(file, framework="pt") as f:
        found = {
            name: {
                "dtype": str(f.get_tensor(name).dtype),
                "shape": list(f.get_tensor(name).shape),
                "values": f.get_tensor(name).double().flatten().tolist(),
            }
            for name in f.keys()
        }
        print(json.dumps({"metadata": f.metadata(), "tensors": found}))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
