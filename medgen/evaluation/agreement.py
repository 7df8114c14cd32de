"""Agreement of one measurement made in two ways: Bland and Altman's (1986) limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import linregress, t


def bland_altman(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> dict[str, float | int | None]:
    """Return the bias and the limits of agreement of a measurement, such as a volume in ml, before and after.

    `bias` is the mean of after minus before, `sd` the standard deviation of the differences, `lower` and `upper` the limits
    bias -+ 1.96 sd between which 95 % of differences are expected; `..._low` and `..._high` are their confidence
    intervals (t; standard errors sd/sqrt(n) of the bias, sd sqrt(1/n + 1.96^2 / (2 (n - 1))) of a limit). `trend` is
    the slope of the difference on the mean of both, `trend_p` its p value: a small one says that the bias grows or falls
    with size, and that the limits do not hold. They are None where all means are equal.

    Args:
        before, after: one finite value a subject, in the same order and units.

    Raises ValueError for unequal lengths, fewer than 3 subjects, or values that are not finite.
    """
    if len(before) != len(after):
        raise ValueError(f"there are {len(before)} values before and {len(after)} after; pairs are wanted")
    if len(before) < 3:
        raise ValueError(f"limits of agreement want at least 3 subjects, not {len(before)}")
    first, second = (np.asarray(values, dtype=np.float64) for values in (before, after))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a value is not finite")
    differences, means = second - first, (first + second) / 2
    n, bias, sd = len(first), float(differences.mean()), float(differences.std(ddof=1))
    z = 1.959963984540054
    quantile = float(t.ppf((1 + confidence) / 2, n - 1))
    of_bias, of_limit = quantile * sd / math.sqrt(n), quantile * sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    lower, upper = bias - z * sd, bias + z * sd
    line = linregress(means, differences) if np.ptp(means) > 0 else None
    return {
        "n": n, "bias": bias, "bias_low": bias - of_bias, "bias_high": bias + of_bias, "sd": sd,
        "lower": lower, "lower_low": lower - of_limit, "lower_high": lower + of_limit,
        "upper": upper, "upper_low": upper - of_limit, "upper_high": upper + of_limit,
        "trend": None if line is None else float(line.slope), "trend_p": None if line is None else float(line.pvalue),
    }  # fmt: skip
