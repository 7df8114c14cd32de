"""What a generator is told that turns a brain MR of one contrast into another: the scan, a first guess, and the contrasts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from torch import Tensor

from medgen.transforms.style import LEVEL

CONTRASTS = ("T1", "T2", "FLAIR")
#: Channels of what a generator is told: first guess, scan, spacing, contrast of the scan, contrast wanted.
CHANNELS = 3 + 2 * len(CONTRASTS)
TOP = 4 * LEVEL  #: brightness of the last knot of a curve; the first is at 0
Curves = Mapping[str, Sequence[float]]  #: by "T1 to T2": the wanted contrast's mean brightness at evenly spaced knots of the scan's


def tell(image: Tensor, spacing: Sequence[float] | Tensor, source: str, target: str, curves: Curves) -> Tensor:
    """Return the channels (..., CHANNELS, X, Y, Z) of an image (..., 1, X, Y, Z), white matter at `LEVEL`; differentiable in it.

    The first channel is the first guess: the image through the curve from `source` to `target`, itself where they are one.
    Raises ValueError for a contrast that is none of `CONTRASTS`.
    """
    for contrast in (source, target):
        if contrast not in CONTRASTS:
            raise ValueError(f"there is no contrast '{contrast}' to translate; choose from: {', '.join(CONTRASTS)}")
    guess = image if source == target else through(image, curves[f"{source} to {target}"])
    step = float(torch.as_tensor(spacing, dtype=torch.float64).reshape(-1)[:3].prod()) ** (1 / 3) / 2
    told = [guess, image, torch.full_like(image, step)]
    told += [torch.full_like(image, float(name == wanted)) for wanted in (source, target) for name in CONTRASTS]
    return torch.cat(told, -4)


def through(image: Tensor, curve: Sequence[float]) -> Tensor:
    """Return an image's values on a curve whose knots are evenly spaced from 0 to `TOP`, straight between them, level beyond."""
    knots = torch.as_tensor(curve, dtype=image.dtype, device=image.device)
    place = (image * ((len(knots) - 1) / TOP)).clamp(0, len(knots) - 1 - 1e-4)
    below = place.detach().floor().long()
    return knots[below] + (place - below) * (knots[below + 1] - knots[below])


class RandTranslated(Randomizable, MapTransform):
    """Make a training pair of a subject's contrasts (3, X, Y, Z), in the order of `CONTRASTS`, -1 where one is missing.

    "label" is one of them, "image" what is told of another; with `others` given "real" is another subject's scan of the wanted
    contrast, and "label" the scan itself: for training without pairs. The scan's brightness is off by up to `jitter`, its
    contrast by a power of up to 1 + `bend` or its inverse (white matter stays), and it has noise of up to `noise` in half of the cases.

    Args:
        keys: of the contrasts.
        curves: see `tell`.
        spacing: key of the spacing in mm.
        others: key of the contrasts of somebody else.
        directions: fixed pairs of contrasts, for evaluation: ``data["direction"]``, such as "T1 to T2"; no jitter, no noise.
    """

    def __init__(
        self, keys: KeysCollection, curves: Curves, spacing: str = "spacing", others: str | None = None, jitter: float = 0.05, bend: float = 0.05,
        noise: float = 0.03, allow_missing_keys: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(keys, allow_missing_keys)
        self.curves, self.spacing, self.others, self.jitter, self.bend, self.noise = curves, spacing, others, jitter, bend, noise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        scans = np.asarray(data[self.keys[0]], np.float32)
        theirs = scans if self.others is None else np.asarray(data[self.others], np.float32)
        if "direction" in data:
            source, target = data["direction"].split(" to ")
        else:
            pairs = [(s, t) for s in _there(scans) for t in _there(theirs) if s != t]
            if not pairs:
                raise ValueError(f"no contrast to translate: there are {', '.join(_there(scans))} and {', '.join(_there(theirs))}")
            source, target = pairs[self.R.randint(len(pairs))]
        image = scans[CONTRASTS.index(source)].clip(0)
        if "direction" not in data:
            power = (1 + self.bend) ** self.R.uniform(-1, 1)
            image = LEVEL * (image / LEVEL) ** power * self.R.uniform(1 - self.jitter, 1 + self.jitter)
            if self.R.uniform() < 0.5:
                sigma = self.R.uniform(0, self.noise) * LEVEL
                noisy = np.hypot(image + sigma * self.R.standard_normal(image.shape), sigma * self.R.standard_normal(image.shape))
                image = np.where(image > 0, noisy, 0).astype(np.float32)  # the air of a skull-stripped scan stays empty
        told = tell(torch.from_numpy(np.ascontiguousarray(image, np.float32))[None], data[self.spacing], source, target, self.curves)
        wanted = torch.from_numpy(np.ascontiguousarray(theirs[CONTRASTS.index(target)])[None].clip(0))
        if self.others is None:
            return {"image": told, "label": wanted}
        return {"image": told, "label": told[1:2].clone(), "real": wanted, "source": source, "target": target, self.spacing: data[self.spacing]}


def _there(scans: np.ndarray) -> list[str]:
    """Return the contrasts that a subject has: those that are -1 nowhere, all air included."""
    return [name for name, scan in zip(CONTRASTS, scans) if scan.min() > -0.5]
