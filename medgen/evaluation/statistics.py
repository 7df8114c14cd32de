"""Means with intervals over subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 9999


def summarise(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> dict[str, float | int | None]:
    """Return n, mean and the bootstrap interval (percentile, 9,999 resamples; Efron 1979) of one value a subject.

    Infinite values (the PSNR of identical images) are counted as `identical` and left out of the mean. The interval is
    None for fewer than 3 values, the mean for none. Raises ValueError for NaN.
    """
    if any(math.isnan(value) for value in values):
        raise ValueError("a value is NaN")
    finite = np.array([value for value in values if math.isfinite(value)])
    low = high = None
    if len(finite) >= 3:
        rng = np.random.default_rng(seed)
        means = finite[rng.integers(len(finite), size=(RESAMPLES, len(finite)))].mean(axis=1)
        low, high = (float(q) for q in np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2]))
    mean = float(finite.mean()) if len(finite) else None
    return {"n": len(finite), "identical": len(values) - len(finite), "mean": mean, "low": low, "high": high}
