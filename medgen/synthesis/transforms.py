"""MONAI transforms that turn a sentence into what a generator paints, and acquire what it painted as was ordered."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.random import RandomState

from medgen.synthesis.order import order
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec
from medgen.transforms.motion import motion
from medgen.transforms.slices import slice_matrix


class OrderScand(MapTransform):
    """Replace a sentence, or a specification as a dictionary, by the label map (1, X, Y, Z) that it orders.

    ``data["order"]`` then holds as JSON, which a batch can hold, the style (contrast, field_t, noise, bias), the seed, what
    `AcquireScand` does, and the report of what was ordered, understood and obtained; ``data["classes"]`` keeps the map (uint8).

    Args:
        seed: of all that the words leave open; ``data["seed"]`` comes before it. ``data["like"]`` and ``data["shape"]`` are `order`'s,
            for sequences.

    Raises `medgen.text.items.TextError` for a sentence that is not understood, ValueError for what cannot be built.
    """

    def __init__(self, keys: KeysCollection, seed: int = 0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.seed = seed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        seed = int(out.get("seed", self.seed))
        for key in self.key_iterator(out):
            told: dict[str, Any] = {}
            if isinstance(out[key], str):
                parsed = parse(out[key])
                spec = parsed.spec
                told = {"understood": parsed.understood, "ignored": parsed.ignored, "warnings": parsed.warnings}
            else:
                spec = ScanSpec.model_validate(out[key])
            built = order(spec, seed, like=out.get("like"), shape=out.get("shape"))
            out[key] = MetaTensor(torch.from_numpy(built.classes[None].astype(np.float32)), affine=torch.from_numpy(built.affine))
            out["classes"] = MetaTensor(torch.from_numpy(built.classes[None].astype(np.uint8)), affine=torch.from_numpy(built.affine))
            out["order"] = json.dumps({**built.style, **built.finish, "seed": seed, "report": {**built.report, **told}})
        return out


class AcquireScand(MapTransform):
    """Acquire a sharp image (1, X, Y, Z) in RAS+ with the motion and in the voxels that ``data["order"]`` tells.

    The order's report goes to ``data["report"]``. Coarser voxels are averages with a box profile; finer ones than the image has are not made.
    ``data["classes"]``, where there are some, are brought to the same voxels, each the class with the largest share in it.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        order = json.loads(out["order"])
        for key in self.key_iterator(out):
            image, affine = np.asarray(out[key][0], np.float32), np.asarray(out[key].affine, np.float64).copy()
            step = float(affine[0, 0])
            image = motion(image, order["motion"] / step, RandomState(order["seed"] + 2))
            profiles: dict[int, np.ndarray] = {}
            for axis, size in enumerate(order["voxel_mm"]):
                factor = size / step
                if factor > 1.01:
                    count = int((image.shape[axis] - factor) // factor) + 1
                    first = (factor - 1) / 2
                    profiles[axis] = slice_matrix(image.shape[axis], factor, factor, first, count, "box").astype(np.float32)
                    affine[:3, 3] += first * affine[:3, axis]
                    affine[:3, axis] *= factor
            out[key] = MetaTensor(torch.from_numpy(_averaged(image, profiles))[None], affine=torch.from_numpy(affine))
            if "classes" in data:
                classes = _largest(np.asarray(data["classes"][0]), profiles)
                out["classes"] = MetaTensor(torch.from_numpy(classes)[None], affine=torch.from_numpy(affine))
        out["report"] = order["report"]
        return out


def _averaged(image: np.ndarray, profiles: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return an image with the slices of each axis averaged by a matrix."""
    for axis, matrix in profiles.items():
        image = np.moveaxis(np.tensordot(matrix, image, (1, axis)), 0, axis)
    return np.ascontiguousarray(image)


def _largest(classes: np.ndarray, profiles: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return of each voxel the class with the largest share in it."""
    if not profiles:
        return classes
    best: np.ndarray | None = None
    for number in np.unique(classes):
        share = _averaged((classes == number).astype(np.float32), profiles)
        if best is None:
            best, found = share, np.full(share.shape, number, classes.dtype)
        nearer = share > best
        found[nearer], best[nearer] = number, share[nearer]
    return found
