"""What a scan may look like to a bundle: as it is, and with the damage that the bundles are for; and its features then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from medgen.evaluation.likeness import features

ROWS = 330  #: of a training, clean and damaged, about
LEAST = 7  #: of one scan
Volume = tuple[np.ndarray, tuple[float, ...]]  #: voxels, and their size in mm
Kinds = dict[str, Callable[[], Volume]]


def _thick(x: np.ndarray, mm: tuple[float, ...], factor: int) -> Volume:
    """Average so many slices into one."""
    n = x.shape[2] // factor * factor
    if n < 4 * factor:
        return x, mm
    return x[:, :, :n].reshape(*x.shape[:2], -1, factor).mean(3), (*mm[:2], mm[2] * factor)


def _crop(x: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    axis = rng.randint(3)
    start = rng.randint(x.shape[axis] - int(0.6 * x.shape[axis]) + 1)
    return np.take(x, range(start, start + int(0.6 * x.shape[axis])), axis)


def _spoilt(x: np.ndarray, value: float, rng: np.random.RandomState) -> np.ndarray:
    """Lose one slice in twelve."""
    axis, out = rng.randint(3), x.copy()
    np.moveaxis(out, axis, 0)[rng.choice(x.shape[axis], max(1, x.shape[axis] // 12), replace=False)] = value
    return out


def fair(x: np.ndarray, mm: tuple[float, ...], is_ct: bool, rng: np.random.RandomState) -> Kinds:
    """Return the scan, and the scan with the damage that the bundles are for."""
    kinds: Kinds = {"clean": lambda: (x, mm)}
    levels = (15, 30, 60, 120) if is_ct else (2, 5, 10, 20)
    unit = "HU" if is_ct else "%"

    def noisy(x: np.ndarray, level: float) -> np.ndarray:
        if is_ct:
            grain = gaussian_filter(rng.standard_normal(x.shape), (0.6, 0.6, 0))
            return np.maximum(x + grain * (level / grain.std()), -1024)
        sigma = level / 100 * np.percentile(x[x > 0], 99.5)
        return np.hypot(x + sigma * rng.standard_normal(x.shape), sigma * rng.standard_normal(x.shape))

    for level in levels:
        kinds[f"noise of {level} {unit}"] = lambda level=level: (noisy(x, level), mm)  # type: ignore[misc]
    for factor in (2, 3) if is_ct else (2, 4):
        kinds[f"slices {factor} times thicker"] = partial(_thick, x, mm, factor)
    for sigma in (0.7, 1.0):
        kinds[f"blur of {sigma} voxels"] = lambda sigma=sigma: (gaussian_filter(x, sigma), mm)  # type: ignore[misc]

    def noisy_thick() -> Volume:
        thicker, size = _thick(x, mm, 2)
        return noisy(thicker, levels[2]), size

    kinds["noise and thick slices"] = noisy_thick
    kinds["part of the view"] = lambda: (_crop(x, rng), mm)
    kinds["slices lost"] = lambda: (_spoilt(x, -1024.0 if is_ct else 0.0, rng), mm)
    if not is_ct:
        top = np.percentile(x[x > 0], 99.5)
        for power in (0.7, 1.5):
            kinds[f"gamma {power}"] = lambda power=power: (top * np.sign(x) * np.abs(x / top) ** power, mm)  # type: ignore[misc]
        field = zoom(rng.uniform(0.6, 1.4, (3, 3, 3)), [n / 3 for n in x.shape], order=1)
        kinds["uneven coil"] = lambda: (x * field, mm)
    return kinds


def scale_of(is_ct: bool) -> float | None:
    """Return what `features` and `fit` take for bright: 1000 HU, or of MR the image's own maximum."""
    return 1000.0 if is_ct else None


def features_of(kinds: Kinds, is_ct: bool, rng: np.random.RandomState, most: int) -> dict[str, np.ndarray]:
    """Return the features of so many kinds of a scan at most: "clean", and others that are drawn."""
    chosen = ["clean", *rng.permutation([name for name in kinds if name != "clean"])[: most - 1]] if most < len(kinds) else list(kinds)
    return {name: features(*kinds[name](), scale_of(is_ct)) for name in chosen}


def seen(image: np.ndarray) -> np.ndarray:
    """Return the middle of an image, which holds all that `features` looks at."""
    return np.ascontiguousarray(image[tuple(slice(max(n // 2 - 80, 0), n // 2 + 81) for n in image.shape)])
