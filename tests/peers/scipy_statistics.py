"""Intervals and p-values of reports by scipy: `scipy_statistics.py A B COMPARISON`, three JSON files.

Prints JSON: `intervals` by task and metric of A, and `differences` by task and metric of the
comparison. Each has scipy's BCa interval on the very resamples that vlclip drew (`same`), and on
resamples of its own (`own`); differences have scipy's p-value too.
"""

import json
import sys
from types import SimpleNamespace

import numpy as np
from scipy import stats

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    """SplitMix64's finaliser."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def resample(seed, index, count):
    """The rows of a resample of `count` queries: the top bits of 64-bit numbers times `count`."""
    state = mix(mix(np.uint64(seed) + GAMMA) + np.uint64(index) + GAMMA)
    bits = mix(state + GAMMA * np.arange(1, count + 1, dtype=np.uint64))
    high, low, count = bits >> np.uint64(32), bits & np.uint64(0xFFFFFFFF), np.uint64(count)
    return (high * count + (low * count >> np.uint64(32))) >> np.uint64(32)


def intervals(values, rows, confidence):
    values = np.array(values)
    if len(values) < 2 or np.all(values == values[0]):
        return None
    means = values[rows].mean(axis=1)
    # Rounding must not tell equal means apart.
    means[np.abs(means - values.mean()) < 1e-12] = values.mean()
    same = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=0,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=means),
        confidence_level=confidence,
        method="BCa",
    )
    own = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, confidence_level=confidence, method="BCa", rng=1
    )
    return {
        "same": list(same.confidence_interval),
        "own": list(own.confidence_interval),
        "standard_error": float(own.standard_error),
    }


def p_value(a, b, permutations):
    a, b = np.array(a), np.array(b)
    changed = a != b  # the others do not matter, and fewer can be tested exactly
    a, b = a[changed], b[changed]
    if len(a) < 2:
        return 1.0  # scipy refuses one pair; both its signs are as far from 0
    test = stats.permutation_test(
        (b, a),
        # Rounding must not tell equal means apart.
        lambda x, y, axis: np.round(np.mean(x - y, axis=axis), 12),
        permutation_type="samples",
        vectorized=True,
        n_resamples=permutations,
        rng=1,
    )
    return float(test.pvalue)


a, b, comparison = (json.load(open(path)) for path in sys.argv[1:])
np.seterr(over="ignore")
protocol = a["protocol"]
result = {"intervals": {}, "differences": {}}
for name, task in a["tasks"].items():
    scored, of_b = task["per_query"], b["tasks"][name]["per_query"]
    count = len(scored["ids"])
    assert scored["ids"] == of_b["ids"]
    rows = np.stack([resample(protocol["seed"], i, count) for i in range(protocol["resamples"])])
    rows = rows.astype(np.int64)
    confidence = protocol["confidence"]
    result["intervals"][name] = {
        metric: intervals(values, rows, confidence) for metric, values in scored["values"].items()
    }
    result["differences"][name] = {
        metric: {
            "p_value": p_value(values, of_b["values"][metric], comparison["permutations"]),
            "interval": intervals(
                np.array(of_b["values"][metric]) - np.array(values), rows, confidence
            ),
        }
        for metric, values in scored["values"].items()
    }
json.dump(result, sys.stdout)
