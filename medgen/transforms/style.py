"""From a label map to what a generator is told: the classes, a prior image in the style that is wanted, and the style itself."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

from medgen.anatomy.classes import NAMES, classes_of
from medgen.transforms.degrade import rician_noise, smooth_field

CONTRASTS = ("T1", "T1c", "T2", "FLAIR")
WHITE = 2  #: class of the cerebral white matter, by which images are scaled
LEVEL = 0.5  #: what its median is scaled to
#: Classes of which the generator is told by another's channel: venous sinuses were fluid in its training's maps. The prior knows them.
TOLD_AS = {17: 9}
#: Channels of what a generator is told: prior, noise, spacing, the contrasts, the classes.
CHANNELS = 3 + len(CONTRASTS) + len(NAMES) - len(TOLD_AS)
LESIONS = (13, 14, 15, 16)


def told(classes: np.ndarray, prior: np.ndarray, contrast: str, spacing: Sequence[float], rng: RandomState) -> np.ndarray:
    """Return the channels (CHANNELS, X, Y, Z), float32: prior, noise in the head, spacing in 2 mm, contrast and classes.

    Raises ValueError for a contrast that is none of `CONTRASTS`.
    """
    if contrast not in CONTRASTS:
        raise ValueError(f"there is no contrast '{contrast}'; choose from: {', '.join(CONTRASTS)}")
    out = np.zeros((CHANNELS, *classes.shape), np.float32)
    out[0] = prior
    out[1] = np.where(classes > 0, rng.standard_normal(classes.shape), 0)
    out[2] = float(np.prod(spacing)) ** (1 / 3) / 2
    out[3 + CONTRASTS.index(contrast)] = 1
    channels = np.arange(len(NAMES))
    channels[list(TOLD_AS)] = list(TOLD_AS.values())
    np.put_along_axis(out[3 + len(CONTRASTS) :], channels[classes][None], 1, 0)
    return out


def painted(classes: np.ndarray, means: np.ndarray, bias: np.ndarray | float = 1.0) -> np.ndarray:
    """Return the prior image: each class at its mean, edges blurred by half a voxel, times a bias field."""
    return gaussian_filter(means.astype(np.float32)[classes], 0.5, truncate=2.0) * bias


class PaintClassesd(MapTransform):
    """Replace a label map (1, X, Y, Z) by what the generator is told, in the style that is wanted.

    Args:
        styles: for each contrast the "mean" and the "sd" between scans of every class, white matter at `LEVEL`.
        contrast: one of `styles`.
        scheme: of the labels (`medgen.anatomy.classes`), "auto" to find it.
        field_t: field strength in tesla; the bias field grows with it.
        bias: range of the bias field at 3 T, 0 for none: it lies within 1 +- bias.
        variation: how far the classes' means are drawn from their own, in the styles' SDs.
        seed: of bias, means and texture.
        ordered: key of JSON with a contrast, field_t, bias or seed that come before these, where the data have it.

    Raises ValueError for a map that is empty, no label map, or in numbers that its scheme does not have.
    """

    def __init__(
        self, keys: KeysCollection, styles: Mapping[str, Mapping[str, Sequence[float]]], contrast: str = "T1", scheme: str = "auto",
        field_t: float = 3.0, bias: float = 0.1, variation: float = 0.5, seed: int = 0, ordered: str = "order", allow_missing_keys: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(keys, allow_missing_keys)
        self.styles, self.scheme, self.variation, self.ordered = styles, scheme, variation, ordered
        self.own: dict[str, Any] = {"contrast": contrast, "field_t": field_t, "bias": bias, "seed": seed}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        wanted = self.own | json.loads(out.get(self.ordered, "{}"))
        if wanted["contrast"] not in self.styles:
            raise ValueError(f"there is no style for '{wanted['contrast']}'; choose from: {', '.join(self.styles)}")
        style, bias = self.styles[wanted["contrast"]], min(wanted["bias"] * wanted["field_t"] / 3, 0.9)
        for key in self.key_iterator(out):
            labels: MetaTensor = out[key]
            if not (labels > 0).any():
                raise ValueError("the label map is empty: all of it is 0")
            classes = classes_of(np.asarray(labels[0]), self.scheme)
            spacing = np.linalg.norm(np.asarray(labels.affine)[:3, :3], axis=0)
            rng = RandomState(wanted["seed"])
            means = np.asarray(style["mean"]) + self.variation * np.asarray(style["sd"]) * rng.standard_normal(len(NAMES)).clip(-2, 2)
            means[0] = 0.0
            field = smooth_field(classes.shape, 1 - bias, 1 + bias, rng) if bias else 1.0
            channels = told(classes, painted(classes, means.clip(0), field), wanted["contrast"], spacing, rng)
            out[key] = MetaTensor(torch.from_numpy(channels), meta=labels.meta, applied_operations=labels.applied_operations)
        return out


class FinishScand(MapTransform):
    """Add Rician noise to what the generator made, and bring white matter to `level` in whole numbers, as scanners write.

    Args:
        noise: SD at 3 T and 2 mm, as a share of the white matter; it falls with the field strength.
        field_t: field strength in tesla.
        level: white matter in the result.
        seed: of the noise.
        ordered: key of JSON with a noise, field_t or seed that come before these, where the data have it.
    """

    def __init__(
        self, keys: KeysCollection, noise: float = 0.0, field_t: float = 3.0, level: float = 500.0, seed: int = 0, ordered: str = "order",
        allow_missing_keys: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(keys, allow_missing_keys)
        self.level, self.ordered = level, ordered
        self.own: dict[str, Any] = {"noise": noise, "field_t": field_t, "seed": seed}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        wanted = self.own | json.loads(out.get(self.ordered, "{}"))
        for key in self.key_iterator(out):
            image = np.asarray(out[key], np.float32)[0].clip(0)
            if wanted["noise"]:
                image = rician_noise(image, wanted["noise"] * 3 / wanted["field_t"] * LEVEL, RandomState(wanted["seed"] + 1))
            scaled = np.rint(image * (self.level / LEVEL)).clip(0, 32767).astype(np.float32)
            out[key] = MetaTensor(torch.from_numpy(scaled)[None], meta=getattr(out[key], "meta", None))
        return out


class RandRealStyled(Randomizable, MapTransform):
    """Make a training pair of a scan and its classes: "label" is the scan, white matter at `LEVEL`; "image" what is told of it.

    The prior takes the scan's own means of the classes, and its own bias field (the ratio of scan and prior, smoothed by 8
    voxels), so that the style is known exactly. With `prob_lesions` white matter lesions, infarcts, tumours or oedema are
    painted into scans that have none, in random strength; a lesion's prior is its own mean too.

    Args:
        keys: the scan (1, X, Y, Z) and its classes (1, X, Y, Z), in this order.
        contrast: key of the contrast's name.
        spacing: key of the spacing in mm (three numbers).
    """

    def __init__(
        self, keys: KeysCollection, contrast: str = "contrast", spacing: str = "spacing", prob_lesions: float = 0.4,
        allow_missing_keys: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(keys, allow_missing_keys)
        self.contrast, self.spacing, self.prob_lesions = contrast, spacing, prob_lesions

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        scan, classes = (np.asarray(data[key][0], dtype) for key, dtype in zip(self.keys, (np.float32, np.int64)))
        if self.R.uniform() < self.prob_lesions:
            scan, classes = self._with_lesions(scan, classes)
        counts = np.bincount(classes.ravel(), minlength=len(NAMES))
        means = np.bincount(classes.ravel(), scan.ravel(), minlength=len(NAMES)) / np.maximum(counts, 1)
        means[0] = 0.0
        prior = painted(classes, means)
        inside = ((classes > 0) & (classes != 10)).astype(np.float32)
        weight = gaussian_filter(inside * prior, 8) + 0.02
        bias = (gaussian_filter(inside * scan, 8) + 0.02) / weight
        channels = told(classes, prior * bias.clip(0.5, 2), data[self.contrast], data[self.spacing], self.R)
        return {"image": torch.from_numpy(channels), "label": torch.from_numpy(scan[None])}

    def _with_lesions(self, scan: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        white = (classes == WHITE) | (classes == 1)
        if white.sum() < 500 or np.isin(classes, LESIONS).any():
            return scan, classes
        field = gaussian_filter(self.R.standard_normal(classes.shape).astype(np.float32), self.R.uniform(0.8, 4))
        inside = white & (field > np.quantile(field[white], 1 - self.R.uniform(0.003, 0.1)))
        soft = gaussian_filter(inside.astype(np.float32), 0.6)
        wanted = float(scan[classes == WHITE].mean() if (classes == WHITE).any() else LEVEL) * self.R.uniform(0.3, 1.8)
        texture = 1 + 0.15 * self.R.uniform() * gaussian_filter(self.R.standard_normal(classes.shape), 1.0) * 8
        lesioned = scan * (1 - 0.9 * soft) + 0.9 * soft * wanted * texture
        return lesioned.clip(0).astype(np.float32), np.where(inside, self.R.choice(LESIONS), classes)
