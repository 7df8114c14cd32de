"""Means with intervals over subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap


def summarise(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> dict[str, float | int | None]:
    """Return n, mean and the bootstrap interval (percentile, 9,999 resamples) of one value a subject.

    Infinite values (the PSNR of identical images) are counted as `identical` and left out of the mean. The interval is
    None for fewer than 3 values, the mean for none.
    """
    finite = np.array([value for value in values if math.isfinite(value)])
    low = high = None
    if len(finite) >= 3:
        rng = np.random.default_rng(seed)
        result = bootstrap((finite,), np.mean, confidence_level=confidence, method="percentile", rng=rng)
        low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    mean = float(finite.mean()) if len(finite) else None
    return {"n": len(finite), "identical": len(values) - len(finite), "mean": mean, "low": low, "high": high}
