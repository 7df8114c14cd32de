"""How varied a set of images is, and whether it was copied from the training set: functions of features, and of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from medgen.evaluation.distribution import check, squared_distances
from medgen.evaluation.structure import ms_ssim, scales_that_fit


def vendi_score(features: np.ndarray) -> float:
    """Return how many different images there are in effect, 1 to n: exp of the entropy of the eigenvalues of K / n, with K
    the cosine similarities (Friedman & Dieng 2023). Rows without length count as alike.

    Raises ValueError as `distribution.check`.
    """
    check(features, features, least=1)
    unit = _unit(features) / math.sqrt(len(features))
    return _effective(np.square(np.linalg.svd(unit, compute_uv=False)))


def richness(features: np.ndarray) -> float:
    """Return in how many directions the features vary in effect, 0 (all equal) to d: the effective rank of their covariance,
    exp of the entropy of its eigenvalues (Roy & Vetterli 2007).

    Raises ValueError as `distribution.check`.
    """
    check(features, features, least=2)
    spread = np.square(np.linalg.svd(features.astype(np.float64) - features.mean(0, dtype=np.float64), compute_uv=False))
    return _effective(spread) if spread.sum() > 1e-12 * max(float(np.square(features).sum()), 1e-300) else 0.0


def uniformity(features: np.ndarray, t: float = 2.0) -> float:
    """Return log mean exp(-t |x - y|^2) over pairs of features on the unit sphere (Wang & Isola 2020): 0 where all are alike,
    the lower the more evenly they fill it (-4 t at the very least).

    Raises ValueError as `distribution.check`; at least 2 rows.
    """
    check(features, features, least=2)
    unit = _unit(features)
    pairs = squared_distances(unit, unit)[np.triu_indices(len(unit), 1)]
    return float(np.log(np.exp(-t * pairs).mean()))


def ms_ssim_of_pairs(
    images: Sequence[np.ndarray], groups: Sequence[str] | None = None, pairs: int = 100, data_range: float = 1.0, seed: int = 0
) -> dict[tuple[int, int], float]:
    """Return the MS-SSIM of random pairs of images, by their numbers; see `pairwise_ms_ssim`, whose arguments it has."""
    names = list(range(len(images))) if groups is None else list(groups)
    every = [(a, b) for a, b in combinations(range(len(images)), 2) if names[a] != names[b]]
    if not every:
        return {}
    chosen = np.random.default_rng(seed).permutation(len(every))[:pairs]
    scales = scales_that_fit(images[0].shape)
    return {(a, b): float(ms_ssim(images[a], images[b], data_range, scales)) for a, b in (every[number] for number in chosen)}


def pairwise_ms_ssim(
    images: Sequence[np.ndarray], groups: Sequence[str] | None = None, pairs: int = 100, data_range: float = 1.0, seed: int = 0
) -> float | None:
    """Return the mean MS-SSIM of random pairs of images: the higher, the more alike they are (Odena et al. 2017).

    Args:
        images: of one shape; as many scales are used as it has room for.
        groups: whose each image is; only images of different groups make a pair.
        pairs: how many pairs at most.
        data_range: as of `structure.ms_ssim`.

    None where no two images make a pair.
    """
    found = ms_ssim_of_pairs(images, groups, pairs, data_range, seed)
    return float(np.mean(list(found.values()))) if found else None


def nearest(features: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each row to the nearest of the others, and the number of that one.

    Raises ValueError as `distribution.check`.
    """
    check(features, others, least=1)
    distances = squared_distances(features, others)
    which = distances.argmin(1)
    exact = features.astype(np.float64) - others[which]
    return np.sqrt(np.square(exact).sum(1)), which


def memorised(
    generated: np.ndarray, training: np.ndarray, groups: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Return how near each generated row is to the training set, which of its rows that is, and what is suspiciously near.

    Suspicious is what is no farther than the nearest 5 % of the training rows are from the nearest row of another group: as near
    as different people hardly are. None where the training set is of one group only.

    Args:
        generated, training: (n, d).
        groups: whose each training row is.
    """
    distances, which = nearest(generated, training)
    across = np.sqrt(squared_distances(training, training))
    names = np.asarray(groups)
    across[names[:, None] == names[None]] = np.inf
    between = across.min(1)
    between = between[np.isfinite(between)]
    return distances, which, float(np.quantile(between, 0.05)) if len(between) else None


def _unit(features: np.ndarray) -> np.ndarray:
    rows = features.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.where(length > 0, rows, 1.0)  # rows without a direction all get the same one
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _effective(eigenvalues: np.ndarray) -> float:
    share = eigenvalues / eigenvalues.sum()
    share = share[share > 1e-15]
    return float(np.exp(-(share * np.log(share)).sum()))
