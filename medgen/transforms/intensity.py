"""Invertible normalisers: `Invertd` gives back HU, or the scan's own units, from what the network returned."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys


def lowest(image: torch.Tensor | np.ndarray) -> float:
    """Return what no value made from an image may lie below: 0 of a magnitude image, -1024 of what has HU, else nothing."""
    least = float(image.min())
    return 0.0 if least >= 0 else -1024.0 if least >= -1024 else float("-inf")


class _AffineIntensityd(MapTransform, InvertibleTransform):
    """(x - shift) / scale, remembered in the image's applied operations, and back."""

    def shift_and_scale(self, image: torch.Tensor) -> tuple[float, float]:
        """Return the shift and the (positive) scale for this image."""
        raise NotImplementedError

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key] if isinstance(out[key], MetaTensor) else MetaTensor(out[key])
            shift, scale = self.shift_and_scale(image.as_tensor())
            result = (image.float() - shift) / scale
            self.push_transform(result, extra_info={"shift": shift, "scale": scale})
            out[key] = result
        return out

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            info = self.pop_transform(out[key])[TraceKeys.EXTRA_INFO]
            out[key] = out[key] * info["scale"] + info["shift"]
        return out


class NormalizeHUd(_AffineIntensityd):
    """Map the HU window [low, high] linearly to [0, 1]; nothing is clipped, so that nothing is lost on the way back."""

    def __init__(self, keys: KeysCollection, low: float = -1024.0, high: float = 1024.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if not low < high:
            raise ValueError(f"the HU window needs low < high, got [{low}, {high}]")
        self.low, self.high = float(low), float(high)

    def shift_and_scale(self, image: torch.Tensor) -> tuple[float, float]:
        return self.low, self.high - self.low


class NormalizeMRd(_AffineIntensityd):
    """Divide an MR image by a robust maximum: the `upper` percentile of its voxels above zero.

    Zero stays zero, as the noise model of magnitude images wants it. With `lower`, that percentile is mapped to 0
    instead. An image without a value above zero is left as it is.
    """

    def __init__(
        self, keys: KeysCollection, upper: float = 99.5, lower: float | None = None, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not (lower or 0.0) < upper <= 100.0:
            raise ValueError(f"percentiles need lower < upper <= 100, got lower={lower}, upper={upper}")
        self.upper, self.lower = upper, lower

    def shift_and_scale(self, image: torch.Tensor) -> tuple[float, float]:
        shift = 0.0 if self.lower is None else percentile(image[image > 0], self.lower)
        scale = percentile(image[image > 0], self.upper) - shift
        return shift, scale if scale > 0 else 1.0


def percentile(values: torch.Tensor, q: float) -> float:
    """Return the q-th percentile (0 to 100, nearest rank) of any number of values; 0 for none."""
    flat = values.flatten().float()
    if not flat.numel():
        return 0.0
    rank = 1 + round((flat.numel() - 1) * q / 100.0)
    return float(flat.kthvalue(rank).values)
