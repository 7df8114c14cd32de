"""How far two sets of images are apart, and how much of each the other covers: pure functions of features (n, d)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Groups = tuple[Sequence[str], Sequence[str]]  #: of each row of two sets, whose it is
Statistic = Callable[[np.ndarray, np.ndarray, Groups], float]  #: of two sets of features, and their groups


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) of two sets of features (Heusel et al. 2017), as SciPy's sqrtm gives it.

    The trace of the root is the sum of the singular values of X1 X2^T, of the centred samples or of their triangular
    factors, whichever are fewer: exact for singular covariances too, and half a second for 1,000 samples of 2,048 features.

    Args:
        first, second: (n, d), n at least 2.

    Raises ValueError as `check`.
    """
    check(first, second, least=2)
    means: list[np.ndarray] = []
    factors: list[np.ndarray] = []
    traces = 0.0
    for rows in (first, second):
        rows = rows.astype(np.float64)
        mean = rows.mean(0)
        centred = (rows - mean) / math.sqrt(len(rows) - 1)
        traces += float(np.square(centred).sum())
        means.append(mean)
        factors.append(centred if len(rows) <= rows.shape[1] else np.asarray(np.linalg.qr(centred, mode="r")))
    root = float(np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum())
    return max(float(np.square(means[0] - means[1]).sum()) + traces - 2 * root, 0.0)


def extrapolated_frechet(
    first: np.ndarray, second: np.ndarray, groups: Groups | None = None, seed: int = 0, draws: int = 20
) -> float | None:
    """Return the Fréchet distance for endless samples, by the line through those of random parts of the data over 1 / size
    (Chong & Forsyth 2020); it may fall below 0, where the truth is near it.

    Both sets lose the same share, half at most. Whole groups (subjects) are drawn, since it is their number that counts.
    None for fewer than 4 groups in either set.

    Args:
        first, second: (n, d).
        groups: of each row of both, whose it is; by default each is on its own.
    """
    check(first, second, least=2)
    members = [_members(rows, names) for rows, names in zip((first, second), groups or (None, None))]
    if min(map(len, members)) < 4:
        return None
    rng = np.random.default_rng(seed)
    inverse, found = [], []
    for share in np.linspace(0.5, 1.0, draws):
        sizes = [max(2, round(share * len(one))) for one in members]
        parts = [rows[_rows(one, rng.permutation(len(one))[:size])] for rows, one, size in zip((first, second), members, sizes)]
        inverse.append(float(np.mean([len(one) / size for one, size in zip(members, sizes)])))
        found.append(frechet_distance(*parts))
    return float(np.polyfit(inverse, found, 1)[1])


def kernel_distance(
    first: np.ndarray, second: np.ndarray, kernel: str = "polynomial", groups: Groups | None = None
) -> float:
    """Return the unbiased squared maximum mean discrepancy (Gretton et al. 2012); below 0 by chance for equal distributions.

    With groups, pairs within one are left out: slices of a subject are no independent draws, and with them it were biased.

    Args:
        first, second: (n, d), n at least 2.
        kernel: "polynomial", (x y / d + 1)^3, the kernel distance KID (Binkowski et al. 2018); or "gaussian",
            exp(-|x - y|^2 / 2 s^2) with s the median distance between the two sets together.
        groups: of each row of both, whose it is; by default each is on its own.

    Raises ValueError as `check`, for another kernel, and for a set of one group.
    """
    check(first, second, least=2)
    x, y = first.astype(np.float64), second.astype(np.float64)
    if kernel == "polynomial":
        products = [a @ b.T / a.shape[1] + 1 for a, b in ((x, x), (y, y), (x, y))]
        xx, yy, xy = (k * k * k for k in products)
    elif kernel == "gaussian":
        both = squared_distances(np.concatenate([x, y]), np.concatenate([x, y]))
        width = float(np.median(both[np.triu_indices(len(both), 1)])) or 1.0
        k = np.exp(-both / (2 * width))
        xx, yy, xy = k[: len(x), : len(x)], k[len(x) :, len(x) :], k[: len(x), len(x) :]
    else:
        raise ValueError(f"the kernel must be polynomial or gaussian, not {kernel}")
    within = 0.0
    for k, names in zip((xx, yy), groups or (range(len(x)), range(len(y)))):
        apart = np.asarray(names)[:, None] != np.asarray(names)[None]
        if not apart.any():
            raise ValueError("all images are of one subject; at least two are needed")
        within += float(k[apart].mean())
    return within - 2 * float(xy.mean())


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Return the share of generated features that lie among the real, and of the real among the generated.

    Among means within the distance of one of them to its k-th nearest neighbour of its own set (Kynkaanniemi et al. 2019).

    Raises ValueError as `check`; both sets need more than k rows.
    """
    check(real, generated, least=k + 1)
    across = squared_distances(real, generated)
    precision = (across <= _radii(real, k)[:, None]).any(0).mean()
    recall = (across <= _radii(generated, k)[None]).any(1).mean()
    return float(precision), float(recall)


def density_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Return density (how many neighbourhoods of real features a generated one lies in, over k; may exceed 1) and coverage
    (the share of real neighbourhoods that hold a generated one), of Naeem et al. 2020: less open to outliers.

    Raises ValueError as `check`; the real set needs more than k rows.
    """
    check(real, generated, least=1)
    check(real, real, least=k + 1)
    inside = squared_distances(real, generated) <= _radii(real, k)[:, None]
    return float(inside.sum(0).mean() / k), float(inside.any(1).mean())


def class_score(probabilities: np.ndarray) -> float:
    """Return exp(mean KL(p(class | image) || p(class))): 1 to the number of classes (the Inception Score's formula,
    Salimans et al. 2016). High where each image is clearly of one class, and all classes occur.

    Args:
        probabilities: (n, classes), rows that sum to 1.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or not len(p) or (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-4):
        raise ValueError(f"probabilities must be rows that sum to 1, at least one, not an array of shape {p.shape}")
    p = np.clip(p, 1e-16, 1)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))


def deviations(
    statistic: Statistic, first: np.ndarray, second: np.ndarray, groups: Groups | None = None,
    resamples: int = 100, seed: int = 0,
) -> np.ndarray | None:  # fmt: skip
    """Return how `statistic(first, second, groups)` varies with the subjects that happen to be in the sets: deviations from its mean.

    A bootstrap by halves: of each set, half the groups (subjects) are drawn without replacement, and the deviations scaled
    to the spread that drawing all of them with replacement has (Shao & Wu 1989). No row occurs twice, which would make
    neighbours nearer and covariances smaller than they are. The draws depend on the groups and the seed only, so that
    deviations of several features of the same images belong together. None for fewer than 4 groups in either set.
    """
    members = [_members(rows, names) for rows, names in zip((first, second), groups or (None, None))]
    if min(map(len, members)) < 4:
        return None
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    names = [np.asarray(of) for of in groups or (range(len(first)), range(len(second)))]
    for number in range(resamples):
        a, b = (_rows(one, rng.permutation(len(one))[: len(one) // 2]) for one in members)
        found[number] = statistic(first[a], second[b], (names[0][a], names[1][b]))
    drawn = [(len(one) // 2) / len(one) for one in members]
    return (found - found.mean()) * math.sqrt(np.mean([share / (1 - share) for share in drawn]))


def interval(
    value: float | None, deviations: np.ndarray | None, limits: tuple[float, float] = (-math.inf, math.inf), confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """Return the bootstrap interval around a value, cut off where its `limits` are; (None, None) without deviations or value."""
    if value is None or deviations is None:
        return None, None
    low, high = np.clip(value + np.quantile(deviations, [(1 - confidence) / 2, (1 + confidence) / 2]), *limits)
    return float(low), float(high)


def enough(rows: int, features: int) -> str | None:
    """Return a warning where there are too few images for the covariance of so many features, else None."""
    if rows > 10 * features:
        return None
    if rows <= features:
        return f"n = {rows} is not above the {features} features: the covariance is singular, and the raw distance says little"
    return f"n = {rows} is under 10 times the {features} features: the raw distance is biased upwards; go by the extrapolated one"


def check(first: np.ndarray, second: np.ndarray, least: int) -> None:
    """Raise ValueError for what is no features of one size (n, d) with n at least `least`, or not finite."""
    for rows in (first, second):
        if rows.ndim != 2 or not rows.shape[1] or rows.shape[1] != first.shape[1]:
            raise ValueError(f"features must be (n, d) of one d, not {first.shape} and {second.shape}")
        if len(rows) < least:
            raise ValueError(f"at least {least} images are needed, not {len(rows)}")
        if not np.isfinite(rows).all():
            raise ValueError("the features hold NaN or infinite values")


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distance of each row of the first to each of the second, float64."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    centre = a.mean(0)  # so that large means cost no digits
    a, b = a - centre, b - centre
    return np.maximum(np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T, 0.0)


def _radii(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the squared distance of each row to its k-th nearest other row."""
    distances = squared_distances(rows, rows)
    np.fill_diagonal(distances, np.inf)
    return np.partition(distances, k - 1, axis=1)[:, k - 1]


def _members(rows: np.ndarray, names: Sequence[str] | None) -> list[np.ndarray]:
    """Return the row numbers of each group."""
    if names is None:
        return [np.array([number]) for number in range(len(rows))]
    if len(names) != len(rows):
        raise ValueError(f"there are {len(rows)} rows and {len(names)} groups")
    _, which = np.unique(np.asarray(names), return_inverse=True)
    return [np.flatnonzero(which == number) for number in range(which.max() + 1)]


def _rows(members: Sequence[np.ndarray], chosen: np.ndarray) -> np.ndarray:
    return np.concatenate([members[number] for number in chosen])
