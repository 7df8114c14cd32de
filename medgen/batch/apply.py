"""One scan through one bundle: normalise, infer, denormalise."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from medgen.bundles import Bundle
from medgen.evaluation.likeness import features, score
from medgen.inference.memory import is_out_of_memory
from medgen.scans import Scan
from medgen.scans.dicom_header import numbers
from medgen.scans.nifti_write import whole_numbers


@dataclass(frozen=True)
class Restored:
    """What a bundle made of a scan.

    Attributes:
        images: (X, Y, Z) arrays in the scan's units; "" is the restored scan, the others are named ("fills": of many).
        grid: a scan of their shape and affine: the input's, where the task is not to change the grid.
        report: what the bundle tells of what it did, and how like its training the scan is, for the sidecar.
        warnings: what a user should know of the result.
        mask_sha256: of the mask that was given, if one was.
    """

    images: dict[str, np.ndarray]
    grid: Scan
    report: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    mask_sha256: str = ""


def prepare(bundle: Bundle, scan: Scan, mask: Scan | None = None) -> dict[str, Any]:
    """Return the data of a scan as the network wants it: "image" is (C, X, Y, Z), the other keys are the bundle's.

    Slices that are missing are part of the mask.
    """
    image = scan.image.clone()
    thickness = _thickness(scan)
    if thickness:
        image.meta["slice_thickness"] = thickness
    data: dict[str, Any] = {"image": image}
    if mask is not None or scan.missing:
        hole = torch.zeros_like(image) if mask is None else mask.image.clone()
        hole[..., list(scan.missing)] = 1
        data["mask"] = hole
    return dict(bundle.get("normalisation")(data))


def _thickness(scan: Scan) -> float | None:
    """Return the slice thickness in mm that DICOM headers tell, if it is one."""
    try:
        (value,) = numbers(scan.slices[0], "SliceThickness") if scan.slices else (0.0,)
    except ValueError:  # a word, or several
        return None
    return value if 0 < value < float("inf") else None


def infer(bundle: Bundle, data: Mapping[str, Any], function: Callable[..., Tensor], memory: float | None) -> Tensor:
    """Return what a network, or a method of it, makes of prepared data (C, X, Y, Z), within so many GiB."""
    inferer = bundle.get("inferer")
    inferer.memory = memory
    return inferer(data["image"].as_tensor()[None], function)[0]


def denormalise(bundle: Bundle, data: Mapping[str, Any], prediction: Tensor) -> dict[str, Any]:
    """Return prepared data with "pred", a prediction brought back to the scan's grid and units; the other keys are the bundle's."""
    return dict(bundle.get("denormalisation")({**data, "pred": MetaTensor(prediction, meta=data["image"].meta)}))


def apply(
    bundle: Bundle, scan: Scan, mask: Scan | None = None, *, uncertainty: bool = False, samples: int = 8, seed: int = 0,
    memory: float | None = None, fills: int = 0,
) -> Restored:  # fmt: skip
    """Return the restored scan, with `uncertainty` its standard deviation from `samples` draws, and of a repair so many `fills`.

    Raises ValueError for a bundle that has no uncertainty, or no fills.
    """
    network: Any = bundle.network
    if uncertainty and not hasattr(network, "uncertainty"):
        raise ValueError("this bundle has no uncertainty; run it without --uncertainty")
    if fills and not repairs(bundle):
        raise ValueError("this bundle fills nothing; run it without --fills")
    likeness, warnings = compare(bundle, scan)
    try:
        data = prepare(bundle, scan, mask)
    except (ValueError, RuntimeError) as error:  # of what is no scan of the bundle's, the error may tell less than that
        if not warnings or is_out_of_memory(error):
            raise
        raise ValueError("; ".join([*(f"the scan {warning}" for warning in warnings), str(error.__cause__ or error)])) from None
    mean = infer(bundle, data, network, memory)
    restored = denormalise(bundle, data, mean)
    images = {"": np.asarray(restored["pred"][0], dtype=np.float32)}
    if uncertainty:
        spread = infer(bundle, data, partial(network.uncertainty, samples=samples, seed=seed), memory)
        shifted = np.asarray(denormalise(bundle, data, mean + spread)["pred"][0], dtype=np.float32)
        images["uncertainty"] = shifted - images[""]  # a difference: free of the shift
    if fills:
        many = [_fill(bundle, data, number, memory) for number in range(1, fills + 1)]
        images["fills"] = np.stack(many) if fills > 1 else many[0]
    if scan.exact is not None:
        for key in images.keys() & {"", "fills"}:
            images[key] = _as_it_was(images[key], scan.image[0].numpy(), scan.exact[0])
    if bundle.metadata.get("synthetic"):  # the input was no image
        scan = replace(scan, units="arbitrary", modality=bundle.modality, dtype=np.dtype(np.int16))
    report = {**likeness, **restored.get("report", {})}
    if scan.missing:
        report |= {"mask": "missing slices" if mask is None else "given, and missing slices", "missing_slices_filled": list(scan.missing)}
    return Restored(images, _grid(scan, restored["pred"]), report, (*warnings, *_remarks(report)), mask.sha256 if mask else "")


def _remarks(report: Mapping[str, Any]) -> list[str]:
    """Return what a user is told at once of a report: what a repair found by itself, and what there was nothing to do for."""
    said = []
    for key, what in (("spoiled_slices", "looks spoiled in slice(s) {}, which were filled"), ("rescaled", "is uneven in slices {}, which were rescaled")):
        numbers: dict[int, list[str]] = {}
        for one in report.get(key, []):
            numbers.setdefault(one["axis"], []).extend(map(str, one["slices"] if "slices" in one else [one["slice"]]))
        if numbers:
            said.append(what.format("; ".join(f"{', '.join(found)} of axis {axis}" for axis, found in numbers.items())) + " (counted from 0)")
    if report.get("mask") == "given" and not report.get("filled_voxels"):
        said.append("has an empty mask: nothing was filled")
    if report.get("factor") == 1:
        said.append("has no thick slices: none were made finer")
    return said


def repairs(bundle: Bundle) -> bool:
    """Return whether a bundle fills what is missing, and keeps the rest as it is."""
    return bundle.metadata.get("purpose") == "repair"


def _fill(bundle: Bundle, data: Mapping[str, Any], number: int, memory: float | None) -> np.ndarray:
    """Return one of many fills of prepared data, the one of the setting fill=`number`."""
    (with_noise,) = (one.with_noise for one in bundle.get("normalisation").transforms if hasattr(one, "with_noise"))
    seen = MetaTensor(torch.from_numpy(with_noise(data["image"].numpy(), number)))
    filled = infer(bundle, {**data, "image": seen}, bundle.network, memory)
    return np.asarray(denormalise(bundle, data, filled)["pred"][0], dtype=np.float32)


def _as_it_was(result: np.ndarray, image: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return a result in the type of the exact values of the image that it was made of, which it has where the two are equal."""
    filled, changed = np.broadcast_to(exact, result.shape).copy(), result != image
    filled[changed] = whole_numbers(result[changed], exact.dtype) if exact.dtype.kind in "iu" else result[changed]
    return filled


def compare(bundle: Bundle, scan: Scan) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return how unlike the bundle's training a scan is, for the sidecar, and a warning where it is."""
    known = bundle.metadata.get("likeness")
    warnings: list[str] = []
    if {scan.modality, bundle.modality} == {"CT", "MR"}:
        warnings.append(f"is {scan.modality}, and the bundle was trained on {bundle.modality}: the result means nothing")
    if known is None:
        return {}, tuple(warnings)
    image = np.asarray(scan.image[0])
    image = np.delete(image, scan.missing, axis=2) if scan.missing else image
    value, odd = score(features(image, scan.spacing, known["scale"]), known)
    if value > known["limit"]:
        warnings.append(
            f"is unlike the scans that the bundle was trained on (score {value:.3g}, limit {known['limit']:.3g}; "
            f"most in: {odd}); compare the result with the input before you use it"
        )
    return {"unlike_training": {"score": round(value, 3), "limit": known["limit"], "most_in": odd}}, tuple(warnings)


def _grid(scan: Scan, made: MetaTensor) -> Scan:
    """Return the scan itself where its grid was kept, else one on the grid of what was made."""
    affine = torch.as_tensor(made.affine, dtype=torch.float64)
    if made.shape[1:] == scan.image.shape[1:] and torch.allclose(affine, scan.image.affine.to(torch.float64), atol=1e-5):
        return scan
    return replace(scan, image=MetaTensor(made.as_tensor().float(), affine=affine))


def seconds_a_voxel(bundle: Bundle, *, uncertainty: bool = False, samples: int = 8, fills: int = 0, side: int = 96) -> float:
    """Measure what a voxel costs a bundle's network on this device, on noise of side^3 voxels."""
    image = torch.rand(1, bundle.channels, side, side, side)
    network: Any = bundle.network
    inferer = bundle.get("inferer")
    voxels, _ = inferer.cost((side,) * 3, network, bundle.channels)
    functions = [*[network] * (1 + fills), *([partial(network.uncertainty, samples=samples)] if uncertainty and hasattr(network, "uncertainty") else [])]
    inferer(image[..., :32, :32, :32], network)  # what is measured of the network is measured once
    started = time.perf_counter()
    for function in functions:
        inferer(image, function)
    return (time.perf_counter() - started) / voxels
