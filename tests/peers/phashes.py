"""Perceptual hashes by Python's imagehash: `phashes.py --out DIR`.

What is compared, and why: hashes of one catalogue are compared with those that other programs computed, and
thresholds found with imagehash should hold here. So `imagehash.phash` is the definition.

Writes rows of RGB bytes and phashes.json: a list of {file, width, height, hash}. Pictures as shops have them:
photographs (drawn), whole and cropped, some scaled or compressed again, of sizes from 32 pixels to 900.
"""

import argparse
import io
import json
import random
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from pictures import natural, noise


def pictures(rng, draw):
    for index in range(300):
        width, height = [(288, 288), (320, 240), (32, 32), (90, 200)][index % 4] if index % 3 == 0 else (
            int(2 ** draw.uniform(5, 9.8)), int(2 ** draw.uniform(5, 9.8)))
        picture = natural(rng, width, height)
        if index % 5 == 1:
            packed = io.BytesIO()
            picture.save(packed, "JPEG", quality=draw.randint(20, 95))
            picture = Image.open(packed).convert("RGB")
        if index % 5 == 2:  # a product on white
            page = Image.new("RGB", (width + draw.randint(0, width), height + draw.randint(0, height)), "white")
            page.paste(picture, (draw.randint(0, page.width - width), draw.randint(0, page.height - height)))
            picture = page
        yield picture
    for size in [(33, 900), (900, 33), (64, 31), (5, 7), (1, 40)]:
        yield Image.fromarray(noise(rng, *size))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    cases = []
    for index, picture in enumerate(pictures(np.random.default_rng(0), random.Random(0))):
        (out / f"{index}.rgb").write_bytes(picture.tobytes())
        cases.append({"file": f"{index}.rgb", "width": picture.width, "height": picture.height,
                      "hash": str(imagehash.phash(picture))})
    (out / "phashes.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
