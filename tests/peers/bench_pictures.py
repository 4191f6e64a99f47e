"""Pictures per second of CPU time through the training transform, side by side on one core.

    cargo build --release --package data --example bench_pictures
    PYTHONPATH=.peers:.libtorch python3 tests/peers/bench_pictures.py PROGRAM

Draws photograph-like JPEGs of 800 px (quality 90) and 288 px (quality 95), 4:2:0, and brings them to 224 px:
open_clip's training transform with Pillow (RandomResizedCrop(0.9, 1), bicubic, ToTensor, Normalize), and
PROGRAM, the example `bench_pictures` of `data`. CPU time, so that other work on the machine counts little.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from pictures import encode, natural


def main():
    torch.set_num_threads(1)
    transform = image_transform_v2(PreprocessCfg(), is_train=True)
    for size, quality, count in ((800, 90, 16), (288, 95, 32)):
        files = [encode(natural(np.random.default_rng(seed), size, size), "JPEG", quality=quality, subsampling=2)
                 for seed in range(count)]
        with tempfile.TemporaryDirectory() as folder:
            for index, data in enumerate(files):
                (Path(folder) / f"{index:02}.jpg").write_bytes(data)
            best = 0
            for _ in range(8):
                start = time.process_time()
                for data in files:
                    transform(Image.open(io.BytesIO(data)))
                best = max(best, count / (time.process_time() - start))
            ours = json.loads(subprocess.run([sys.argv[1], folder, "224"], check=True, capture_output=True).stdout)
        ratios = {key: round(ours[key] / best, 2) for key in ("fast", "exact")}
        print(json.dumps({"px": size, "bytes": sum(map(len, files)) // count, "pillow": round(best, 1), **ours, "times": ratios}))


if __name__ == "__main__":
    main()
