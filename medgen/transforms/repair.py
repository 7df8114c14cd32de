"""From a scan and a mask to what a repair network sees, and back: everything outside the mask as it was, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import TraceKeys
from scipy.ndimage import find_objects

from medgen.transforms.holes import hole_input
from medgen.transforms.intensity import lowest
from medgen.transforms.spoiled import Uneven, find_spoiled, find_uneven

STRIDE = 16  #: the box around a hole grows to multiples of it


class OpenHolesd(MapTransform):
    """Set an image (1, X, Y, Z) to 0 where ``data[mask]`` is not, so that what is spoiled does not rule its scale.

    ``{key}_original`` keeps the image as it came. Without a mask in the data nothing is set. Raises ValueError for a mask
    of another shape, or one that leaves nothing of the image.
    """

    def __init__(self, keys: KeysCollection, mask: str = "mask", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask = mask

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            out[f"{key}_original"] = torch.as_tensor(image).clone()
            if self.mask not in out:
                continue
            mask = out[self.mask]
            if mask.shape != image.shape:
                raise ValueError(f"the mask has shape {tuple(mask.shape)}, the image {tuple(image.shape)}")
            hole = torch.as_tensor(mask) != 0
            if hole.all():
                raise ValueError("the mask covers the whole image: nothing is left to fill it from")
            out[key] = image.masked_fill(hole, 0)
        return out


class FillHolesd(MapTransform):
    """Turn a scaled image (1, X, Y, Z) and its mask into a repair network's input, cut out around the hole.

    The input is (2, x, y, z), see `medgen.transforms.holes.hole_input`; with `fill` above 0 a third channel is noise, and
    the network gives one of many fills in place of their mean. Without a mask in the data, spoiled slices are looked for
    (`medgen.transforms.spoiled`), if `find`; an interleave of another brightness is no hole but divided by its gain, in the
    image and in ``{key}_original``. ``{key}_holes`` keeps what `PasteKnownd` needs.

    Args:
        threshold: see `find_spoiled`.
        fill: 0, or the seed of the noise.
        context: voxels around the hole that the network sees.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask: str = "mask",
        find: bool = True,
        threshold: float = 1.0,
        fill: int = 0,
        context: int = 48,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mask, self.find, self.threshold, self.fill, self.context = mask, find, threshold, fill, context

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            values = np.asarray(image[0], dtype=np.float32).copy()
            spacing = [float(mm) for mm in np.linalg.norm(np.asarray(image.affine, dtype=float)[:3, :3], axis=0)]
            report: dict[str, Any] = {"mask": "given"}
            if self.mask in out:
                hole = np.asarray(out[self.mask][0]) != 0
            else:
                hole = np.zeros(values.shape, dtype=bool)
                uneven = find_uneven(values, spacing, self.threshold) if self.find else []
                if uneven:
                    out[f"{key}_original"] = torch.as_tensor(out[f"{key}_original"]).clone()
                for one in uneven:
                    _rescale(torch.from_numpy(values)[None], one, 0.0)
                    _rescale(out[f"{key}_original"], one, _zero(image))
                found = find_spoiled(values, spacing, self.threshold) if self.find else []
                for spoiled in found:
                    np.moveaxis(hole, spoiled.axis, 0)[spoiled.slice] = True
                report = {"mask": "found" if found else "none", "spoiled_slices": [
                    {"axis": s.axis, "slice": s.slice, "reason": s.reason, "score": round(s.score, 2)} for s in found
                ], "rescaled": [
                    {"axis": u.axis, "slices": list(range(values.shape[u.axis]))[u.first :: u.period], "by": round(1 / u.gain, 3),
                     "score": round(u.score, 2)} for u in uneven
                ]}  # fmt: skip
            report["filled_voxels"] = int(hole.sum())
            report["filled_ml"] = round(float(hole.sum() * np.prod(spacing)) / 1000, 3)
            box = self._box(hole)
            seen = hole_input(values[box], hole[box])
            if self.fill:
                seen = self.with_noise(seen, self.fill)
            result = MetaTensor(torch.from_numpy(seen), meta=dict(image.meta))
            result.applied_operations = image.applied_operations
            out[key] = result
            bounds = np.array([(side.start, side.stop) for side in box])
            out[f"{key}_holes"] = {"hole": hole, "bounds": bounds, "report": json.dumps(report)}  # as a batch can hold it
        return out

    @staticmethod
    def with_noise(seen: np.ndarray, fill: int) -> np.ndarray:
        """Return a repair network's input (2, X, Y, Z) with the channel of noise that makes one of many fills, by its number."""
        noise = np.random.RandomState(fill).standard_normal(seen[:1].shape).astype(np.float32)
        return np.concatenate([seen[:2], noise])

    def _box(self, hole: np.ndarray) -> tuple[slice, ...]:
        """Return the box around the hole with its context; without a hole, a corner."""
        if not hole.any():
            return tuple(slice(0, min(n, STRIDE)) for n in hole.shape)
        box = []
        for around, n in zip(find_objects(hole.astype(np.uint8))[0], hole.shape):
            start = max(around.start - self.context, 0) // STRIDE * STRIDE
            length = min(around.stop + self.context, n) - start
            box.append(slice(start, min(start + length + -length % STRIDE, n)))
        return tuple(box)


def _zero(image: MetaTensor) -> float:
    """Return the value of the scan that its normaliser made 0."""
    return float(image.applied_operations[-1][TraceKeys.EXTRA_INFO]["shift"]) if image.applied_operations else 0.0


def _rescale(image: torch.Tensor, uneven: Uneven, zero: float) -> None:
    """Divide the slices of an interleave of (1, X, Y, Z) by its gain, about `zero`, in place."""
    slices = image.movedim(uneven.axis + 1, 0)[uneven.first :: uneven.period]
    mended = (slices.double() - zero) / uneven.gain + zero
    slices.copy_(mended if image.is_floating_point() else mended.round())


class PasteKnownd(MapTransform):
    """Put a filled box, in the units of the scan, back into the scan: only the voxels of the hole are taken from it.

    `keys` are what the network made of ``source``, which `OpenHolesd` and `FillHolesd` prepared. All voxels outside the
    hole are the scan's own, bit for bit and in its type, but for slices that were rescaled. The "report" of the data tells what
    was filled, which slices were found, and which were rescaled.
    """

    def __init__(self, keys: KeysCollection, source: str = "image", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.source = source

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        told = out[f"{self.source}_holes"]
        for key in self.key_iterator(out):
            result = out[f"{self.source}_original"].clone()
            hole = torch.as_tensor(told["hole"])[None]
            box = tuple(slice(int(start), int(stop)) for start, stop in told["bounds"])
            inside = hole[(slice(None), *box)]
            floor = lowest(result[~hole])
            result[hole] = torch.as_tensor(out[key])[inside].clamp_min(floor).to(result.dtype)
            pasted = MetaTensor(result, meta=dict(out[self.source].meta))
            out[key] = pasted
        out["report"] = json.loads(told["report"])
        return out
