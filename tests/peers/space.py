"""The shape of a space by numpy and scipy: `space.py INPUT.json`.

What is compared, and why: alignment and uniformity are compared between papers, so they must be those of
Wang and Isola (2020, section 4.1.2, alpha = 2, t = 2), whose published code is `torch.pdist`; here `pdist`
of scipy computes them. The modality gap is Liang et al.'s (2022): the distance of the two centroids.

INPUT has `text` and `image` (lists of rows), `pairs` (matching rows) and `bins` (edges of histograms).
"""

import json
import sys

import numpy as np
from scipy.spatial.distance import pdist

with open(sys.argv[1]) as file:
    given = json.load(file)
text, image = (np.asarray(given[side], dtype=np.float32).astype(np.float64) for side in ("text", "image"))
left, right = np.asarray(given["pairs"]).T


def uniformity(rows):
    return float(np.log(np.mean(np.exp(-2 * pdist(rows, "sqeuclidean")))))


scores = text @ image.T
relevant = np.zeros(scores.shape, dtype=bool)
relevant[left, right] = True
json.dump(
    {
        "alignment": float(np.mean(np.linalg.norm(text[left] - image[right], axis=1) ** 2)),
        "uniformity_text": uniformity(text),
        "uniformity_image": uniformity(image),
        "modality_gap": float(np.linalg.norm(text.mean(axis=0) - image.mean(axis=0))),
        "positive_mean": float(scores[relevant].mean()),
        "negative_mean": float(scores[~relevant].mean()),
        "positives": np.histogram(scores[relevant], given["bins"])[0].tolist(),
        "negatives": np.histogram(scores[~relevant], given["bins"])[0].tolist(),
    },
    sys.stdout,
)
