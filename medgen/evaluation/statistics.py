"""Means with intervals over subjects, and methods compared on the same subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from scipy.stats import rankdata, wilcoxon

RESAMPLES = 9999


def summarise(
    values: Sequence[float], confidence: float = 0.95, seed: int = 0, subjects: Sequence[str] | None = None
) -> dict[str, float | int | None]:
    """Return n, mean and the bootstrap interval (percentile, 9,999 resamples; Efron 1979) of one value a subject.

    Infinite values (the PSNR of identical images) are counted as `identical` and left out of the mean. The interval is
    None for fewer than 3 values, the mean for none. Raises ValueError for NaN.

    Args:
        values: one a subject, or one a scan with `subjects`.
        subjects: whose each value is; the mean of each subject is then what counts, and n the number of subjects.
    """
    if any(math.isnan(value) for value in values):
        raise ValueError("a value is NaN")
    identical = sum(math.isinf(value) for value in values)
    finite = of_subjects(values, subjects) if subjects is not None else np.array([v for v in values if math.isfinite(v)])
    low, high = _interval(finite, confidence, seed)
    mean = float(finite.mean()) if len(finite) else None
    return {"n": len(finite), "identical": identical, "mean": mean, "low": low, "high": high}


def of_subjects(values: Sequence[float], subjects: Sequence[str]) -> np.ndarray:
    """Return the mean of the finite values of each subject that has one, subjects in sorted order."""
    if len(values) != len(subjects):
        raise ValueError(f"there are {len(values)} values and {len(subjects)} subjects")
    pairs = sorted((s, v) for s, v in zip(subjects, values) if math.isfinite(v))
    return np.array([np.mean([v for _, v in one]) for _, one in groupby(pairs, key=lambda pair: pair[0])])


def compare(first: Sequence[float], second: Sequence[float], confidence: float = 0.95, seed: int = 0) -> dict[str, float | int | None]:
    """Return how the first method differs from the second, measured on the same subjects.

    `difference` is the mean of first minus second with its bootstrap interval as in `summarise`; `p` that of the Wilcoxon
    signed-rank test, two-sided, equal pairs dropped (exact for up to 50 pairs without ties); `effect` the matched-pairs
    rank-biserial correlation (Kerby 2014), from -1 (second higher in every subject) to 1. p is None for fewer than 6 pairs
    that differ, of which none could reach 0.05.

    Args:
        first, second: one finite value a subject, in the same order.

    Raises ValueError for unequal lengths, or values that are not finite.
    """
    if len(first) != len(second):
        raise ValueError(f"there are {len(first)} and {len(second)} values; pairs are wanted")
    differences = np.subtract(first, second, dtype=np.float64)
    if not np.isfinite(differences).all():
        raise ValueError("a value is not finite")
    low, high = _interval(differences, confidence, seed)
    differing = differences[differences != 0]
    p = effect = None
    if len(differing):
        ranks = rankdata(np.abs(differing))
        effect = float((ranks[differing > 0].sum() - ranks[differing < 0].sum()) / ranks.sum())
    if len(differing) >= 6:
        p = float(wilcoxon(differing).pvalue)
    mean = float(differences.mean()) if len(differences) else None
    return {"n": len(differences), "difference": mean, "low": low, "high": high, "p": p, "effect": effect}


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return the p values corrected for their number (Holm 1979): of any that is below 0.05, the chance that one is false
    is. None stays None and does not count.

    The smallest of m is multiplied by m, the next by m - 1 and so on; none falls below the one before, or rises over 1.
    """
    order = sorted((value, index) for index, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for place, (value, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * value))
        corrected[index] = highest
    return corrected


def _interval(values: np.ndarray, confidence: float, seed: int) -> tuple[float | None, float | None]:
    """Return the percentile bootstrap interval of the mean; None for fewer than 3 values."""
    if len(values) < 3:
        return None, None
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = (float(q) for q in np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2]))
    return low, high
