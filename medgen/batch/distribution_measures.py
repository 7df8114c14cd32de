"""The numbers of two sets of scans that do not belong together pair by pair, view by view; `DEFINITIONS` says what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medgen.evaluation.distribution import (
    Statistic,
    class_score,
    density_coverage,
    deviations,
    enough,
    extrapolated_frechet,
    frechet_distance,
    interval,
    kernel_distance,
    precision_recall,
)
from medgen.evaluation.diversity import memorised, ms_ssim_of_pairs, pairwise_ms_ssim, richness, uniformity, vendi_score
from medgen.evaluation.features import VOLUME, Extractor
from medgen.evaluation.sampling import PLANES

MEAN = "2.5D mean"  #: of the planes
KEPT, PAIRS = 30, 30  #: scans of a set, and pairs of them, that MS-SSIM looks at, at most
SPLITS = 5  #: of the real set into halves
Row = dict[str, Any]

DEFINITIONS = {
    "frechet": "Fréchet distance of the features (Heusel et al. 2017); its name is in `score`. Biased upwards where n is small",
    "frechet_extrapolated": "the same for endless samples, by the line over 1 / n (Chong & Forsyth 2020), subjects drawn; "
    "rough for few subjects, and then negative where the truth is small",
    "kernel": "unbiased squared MMD with the kernel (x y / d + 1)^3 (KID, Binkowski et al. 2018), pairs within a subject left out; "
    "negative by chance near 0",
    "kernel_gaussian": "the same with a Gaussian kernel as wide as the median distance (Gretton et al. 2012)",
    "precision": "share of generated features among the real ones, k = 3 (Kynkaanniemi et al. 2019)",
    "recall": "share of real features among the generated ones, k = 3",
    "density": "mean number of real neighbourhoods that a generated feature lies in, over k = 5 (Naeem et al. 2020)",
    "coverage": "share of real neighbourhoods, k = 5, that hold a generated feature",
    "class_score": "exp of the mean KL divergence of the extractor's classes (formula of the Inception Score, Salimans et al. 2016)",
    "vendi": "how many different images there are in effect (Friedman & Dieng 2023); grows with n",
    "uniformity": "log mean exp(-2 |x - y|^2) of features on the sphere (Wang & Isola 2020): lower is more even",
    "richness": "in how many directions the features vary in effect: effective rank of their covariance (Roy & Vetterli 2007)",
    "ms_ssim": f"mean MS-SSIM of pairs of scans of different subjects (middle slices, or cubes), up to {PAIRS}: lower is more varied",
    "near_training": "share of generated features no farther from a training feature than the nearest 5 % of those are from another subject's; "
    "training scans count mirrored too",
    "training_distance": "median distance of generated features from the nearest training feature, or its mirror image's, in units of that",
    "real": "the same of the real set itself: of one set, its value; of two, the mean over halves of its subjects against each "
    "other (so of half its n), the floor that nothing generated should be expected to beat; none for fewer than 8 subjects",
    "low, high": "95 % bootstrap interval: halves of the subjects, without replacement, scaled (Shao & Wu 1989); none for under 4",
}
TWO: dict[str, Statistic] = {
    "frechet": lambda real, generated, _: frechet_distance(real, generated),
    "kernel": lambda real, generated, groups: kernel_distance(real, generated, groups=groups),
    "kernel_gaussian": lambda real, generated, groups: kernel_distance(real, generated, "gaussian", groups),
    "precision": lambda real, generated, _: precision_recall(real, generated)[0],
    "recall": lambda real, generated, _: precision_recall(real, generated)[1],
    "density": lambda real, generated, _: density_coverage(real, generated)[0],
    "coverage": lambda real, generated, _: density_coverage(real, generated)[1],
}
LIMITS = {
    **dict.fromkeys(("precision", "recall", "coverage", "near_training"), (0.0, 1.0)),
    **dict.fromkeys(("frechet", "density", "training_distance"), (0.0, math.inf)),
}
ONE: dict[str, Callable[[np.ndarray], float]] = {"vendi": vendi_score, "uniformity": uniformity, "richness": richness}


@dataclass
class Described:
    """The features of a set of scans: of each view (a plane, or the crops), its rows and whose they are."""

    cases: list[str]
    subjects: list[str]
    features: dict[str, np.ndarray]
    cubes: list[np.ndarray]  #: of the first scans
    turns: int = 1  #: 2 where each scan is there mirrored too, after itself

    def groups(self, view: str) -> list[str]:
        each = len(self.features[view]) // len(self.cases)
        return [subject for subject in self.subjects for _ in range(each)]


def measure(generated: Described, real: Described, extractor: Extractor, resamples: int, seed: int) -> list[Row]:
    """Return a row for each view and measure, with its interval and the same of the real set; after the planes, their mean."""
    rows: list[Row] = []
    for view, mine in generated.features.items():
        theirs = real.features[view]
        groups = real.groups(view), generated.groups(view)
        head = {"view": view, "n": len(mine), "n_real": len(theirs), "subjects": len(set(generated.subjects)),
                "subjects_real": len(set(real.subjects)), "features": mine.shape[1]}  # fmt: skip
        for name, two in TWO.items():
            try:
                value = two(theirs, mine, groups)
                spread = deviations(two, theirs, mine, groups, resamples, seed)
            except ValueError:
                continue  # fewer rows than neighbours are looked for
            floor = _mean([two(a, b, names) for a, b, names in _halves(theirs, groups[0], seed)])
            rows.append({**head, "measure": name, "value": value, "spread": spread, "real": floor})
            if name == "frechet":
                floor = _mean([extrapolated_frechet(a, b, names, seed) for a, b, names in _halves(theirs, groups[0], seed)])
                value_ = extrapolated_frechet(theirs, mine, groups, seed)
                spread = _spread_of_extrapolated(theirs, mine, groups, resamples, seed)
                rows.append({**head, "measure": "frechet_extrapolated", "value": value_, "spread": spread, "real": floor})
        for name, one in _of_one(extractor, view).items():
            spread = deviations(lambda _, x, __, one=one: one(x), theirs, mine, groups, resamples, seed)  # type: ignore[misc]
            rows.append({**head, "measure": name, "value": one(mine), "spread": spread, "real": one(theirs)})
        alike, spread = _alike(generated, view, resamples, seed)
        alike_real = pairwise_ms_ssim(_middles(real, view), real.subjects[: len(real.cubes)], PAIRS, seed=seed)
        rows.append({**head, "measure": "ms_ssim", "value": alike, "spread": spread, "real": alike_real})
    return _with_intervals(_with_mean(rows))


def near_training(generated: Described, training: Described, resamples: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Return rows for each view, and a row for each copy: a scan most of whose features, of all views together, are suspiciously
    near to one and the same training scan. The rows have the share of such features, and the median distance in such limits."""
    rows: list[Row] = []
    found: dict[int, list[int]] = {}
    total: dict[int, int] = {}
    for view, mine in generated.features.items():
        each, each_training = len(mine) // len(generated.cases), len(training.features[view]) // len(training.cases)
        distances, which, limit = memorised(mine, training.features[view], training.groups(view))
        if limit is None:
            continue
        near = distances <= limit
        head = {"view": view, "n": len(mine), "features": mine.shape[1]}
        groups = training.groups(view), generated.groups(view)
        told: list[tuple[str, np.ndarray, Any, float | None]] = [("near_training", near, np.mean, 0.05)]
        if limit > 0:  # not where slices of nothing but air make it 0
            told.append(("training_distance", distances / limit, np.median, None))
        for name, values, one, real in told:
            each_row = values.astype(np.float64)[:, None]
            spread = deviations(lambda _, x, __, one=one: float(one(x)), training.features[view], each_row, groups, resamples, seed)  # type: ignore[misc]
            rows.append({**head, "measure": name, "value": float(one(values)), "spread": spread, "real": real})
        for number in range(len(mine)):
            total[number // each] = total.get(number // each, 0) + 1
            if near[number]:
                found.setdefault(number // each, []).append(int(which[number]) // each_training)
    copies = []
    for case, sources in found.items():
        source = max(set(sources), key=sources.count)
        share = sources.count(source) / total[case]
        if share > 0.5:
            copies.append({"case": generated.cases[case], "training": training.cases[source], "share": share})
    return _with_intervals(rows), copies


def warnings(rows: Sequence[Row]) -> list[str]:
    """Return what makes the numbers weak: too few images for the features, too few subjects."""
    found = {}
    for row in rows:
        if row["measure"] == "frechet":
            few = min(row["subjects"], row["subjects_real"])
            if note := enough(min(row["n"], row["n_real"]), row["features"]):
                found[note] = f"{row['view']}: {note}"
            if few < 10:
                found["subjects"] = f"{few} subjects are few, whatever the number of slices: the intervals are rough"
    return list(found.values())


def _of_one(extractor: Extractor, view: str) -> dict[str, Callable[[np.ndarray], float]]:
    def classes(features: np.ndarray) -> float:
        return class_score(extractor.probabilities(features, view))

    return {**ONE, **({"class_score": classes} if extractor.has_classes(view) else {})}


def _halves(rows: np.ndarray, groups: Sequence[str], seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[list[str], list[str]]]]:
    """Yield the rows of random halves of the groups, and their groups; nothing for fewer than 8 groups."""
    names = np.unique(np.asarray(groups))
    rng = np.random.default_rng(seed)
    for _ in range(SPLITS if len(names) >= 8 else 0):
        first = np.isin(groups, rng.permutation(names)[: len(names) // 2])
        both = [[name for name, inside in zip(groups, first) if inside is wanted] for wanted in (np.True_, np.False_)]
        yield rows[first], rows[~first], (both[0], both[1])


def _spread_of_extrapolated(
    theirs: np.ndarray, mine: np.ndarray, groups: tuple[list[str], list[str]], resamples: int, seed: int
) -> np.ndarray | None:
    """Return the deviations of the extrapolated distance: fewer of them, each with a coarser line, to cost no more than the raw one's."""
    if min(len(set(names)) for names in groups) < 8:  # halves of which have no line
        return None

    def line(real: np.ndarray, generated: np.ndarray, names: Any) -> float:
        return float(extrapolated_frechet(real, generated, names, seed, draws=5) or 0.0)

    return deviations(line, theirs, mine, groups, max(resamples // 4, 2), seed)


def _alike(described: Described, view: str, resamples: int, seed: int) -> tuple[float | None, np.ndarray | None]:
    """Return the mean MS-SSIM of pairs, and its deviations."""
    images = _middles(described, view)
    subjects = described.subjects[: len(images)]
    pairs = ms_ssim_of_pairs(images, subjects, PAIRS, seed=seed)
    if not pairs:
        return None, None
    mean = float(np.mean(list(pairs.values())))

    def of_drawn(_: np.ndarray, drawn: np.ndarray, __: Any) -> float:
        values = [value for pair, value in pairs.items() if np.isin(pair, drawn).all()]
        return float(np.mean(values)) if values else mean

    numbers = np.arange(len(images))[:, None]
    return mean, deviations(of_drawn, numbers, numbers, (subjects, subjects), resamples, seed)


def _middles(described: Described, view: str) -> list[np.ndarray]:
    """Return the middle slices of the first scans, or their cubes."""
    images = [np.asarray(cube, np.float32) for cube in described.cubes]
    if view == VOLUME:
        return images
    axis = PLANES.index(view)
    return [image.take(image.shape[axis] // 2, axis) for image in images]


def _with_intervals(rows: list[Row]) -> list[Row]:
    """Return the rows with the interval that the deviations of each make."""
    for row in rows:
        row["low"], row["high"] = interval(row["value"], row.pop("spread"), LIMITS.get(row["measure"], (-math.inf, math.inf)))
    return rows


def _with_mean(rows: list[Row]) -> list[Row]:
    """Return the rows with those of the mean of the planes after the planes."""
    views = [view for view in dict.fromkeys(row["view"] for row in rows) if view in PLANES]
    means: list[Row] = []
    for name in dict.fromkeys(row["measure"] for row in rows) if len(views) > 1 else ():
        these = [row for row in rows if row["measure"] == name and row["view"] in views]
        spreads = [row["spread"] for row in these]
        spread = None if any(one is None for one in spreads) else np.mean(spreads, axis=0)
        values = {key: _mean([row[key] for row in these]) for key in ("value", "real")}
        means.append({**these[0], **values, "view": MEAN, "spread": spread})
    planes = [row for row in rows if row["view"] in PLANES]
    return planes + means + [row for row in rows if row["view"] not in PLANES]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
