"""Which scan belongs to which: by name, and on the same grid."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor

from medgen.scans import Case, Scan, ScanError, find, read
from medgen.scans.bids import is_mask_of, is_uncertainty, scans_in, source_name, uncertainty_name


def pair(candidate: Path, reference: Path) -> tuple[list[tuple[Case, Case]], list[str]]:
    """Pair two files or DICOM series, or the scans of two folders by name: `a_restored` belongs to the reference `a`."""
    (mine, errors, _), (truths, more, _) = scans_in(candidate), scans_in(reference)
    failures = [str(error) for error in [*errors, *more]]
    if len(mine) == len(truths) == 1 and all(
        path.is_file() or case.kind == "dicom" for path, case in ((candidate, mine[0]), (reference, truths[0]))
    ):
        return [(mine[0], truths[0])], failures
    by_name = {case.name: case for case in truths}
    pairs: list[tuple[Case, Case]] = []
    for case in mine:
        if is_map(case):
            continue
        names = [name for name in by_name if name in (case.name, source_name(case.name)) or case.name.startswith(name + "_")]
        if names:
            pairs.append((case, by_name[max(names, key=len)]))
        else:
            failures.append(f"{case.files[0]}: no reference is named {case.name}; name them alike (a, a_restored)")
    if pairs and candidate.is_dir():
        missing = [case for case in truths if not any(case is truth for _, truth in pairs)]
        failures += [f"{case.files[0]}: no candidate is named {case.name}; it is not in the results" for case in missing]
    return pairs, failures


def is_map(case: Case) -> bool:
    """Say whether a case is, by its name, the uncertainty or the fills of a result beside it."""
    return case.name.endswith(("_uncertainty", "_fills")) or is_uncertainty(case.name)


def map_name(name: str) -> str:
    """Return the name of the uncertainty map of a result, in a BIDS derivative or elsewhere."""
    return uncertainty_name(name) or f"{name}_uncertainty"


def on_grid_of(case: Case, scan: Scan, reference: Scan) -> Scan:
    """Return a case's scan in the order of axes that its reference has. Raises `ScanError` where it lies on another grid.

    The same places may be stored from the left or the right, or axis for axis in another order: no value changes.
    """
    scan = _turned(scan, reference)
    shapes = [tuple(s.image.shape[1:]) for s in (scan, reference)]
    if shapes[0] != shapes[1]:
        raise ScanError(case.files[0], f"its shape {shapes[0]} is not the reference's {shapes[1]}", "resample one of them")
    corners = np.array([[*corner, 1] for corner in product(*((0, n) for n in shapes[0]))]).T
    apart = np.abs((scan.image.affine.numpy() - reference.image.affine.numpy()) @ corners).max()
    if apart > 0.1 * min(reference.spacing):  # a tenth of a voxel
        raise ScanError(case.files[0], f"lies {apart:.2f} mm off the reference's grid", "resample one of them")
    return scan


def _turned(scan: Scan, reference: Scan) -> Scan:
    """Return a scan with its axes along those of another; as it is, where none or only some of them are parallel."""
    affine = scan.image.affine.numpy()
    turn = np.rint(np.linalg.solve(reference.image.affine.numpy(), affine)[:3, :3])  # a step here, in voxels there
    whole = (np.abs(turn).sum(0) == 1).all() and (np.abs(turn).sum(1) == 1).all()
    if not whole or np.array_equal(turn, np.eye(3)):
        return scan
    axes = np.abs(turn).argmax(1)
    flipped = [axis for axis in range(3) if turn[axis, axes[axis]] < 0]
    array = np.flip(scan.image.numpy().transpose(0, *(axes + 1)), tuple(axis + 1 for axis in flipped))
    back = np.eye(4)
    back[:3, :3] = turn.T
    for axis in flipped:
        back[axes[axis], 3] = array.shape[axis + 1] - 1
    image = MetaTensor(torch.from_numpy(array.copy()), affine=torch.from_numpy(affine @ back))
    return replace(scan, image=image, slices=())  # the headers go with the order that is stored


def masks_of(path: Path, cases: list[Case]) -> dict[str, Case]:
    """Return the mask of each case by the case's name: one mask for one case, else those named alike (a, a_mask).

    Raises `ScanError` where a case has none, or a mask cannot be read.
    """
    found, errors, _ = find(path)
    if errors:
        raise errors[0]
    if len(found) == len(cases) == 1:
        return {cases[0].name: found[0]}
    masks: dict[str, Case] = {}
    for case in cases:
        named = [mask for mask in found if mask.name == case.name or mask.name.startswith(case.name + "_")
                 or is_mask_of(mask.name, case.name)]  # fmt: skip
        if not named and len(found) == 1 and path.is_file():
            raise ScanError(path, f"is one mask for {len(cases)} scans", "give a folder of masks, named like the scans (a, a_mask)")
        if not named:
            raise ScanError(path, f"holds no mask named {case.name}", "name masks like their scans (a, a_mask)")
        masks[case.name] = min(named, key=lambda mask: len(mask.name))
    return masks


def read_mask(mask: Case | None, scan: Scan, *, permissive: bool = False) -> Scan | None:
    """Read the mask of a scan, if it has one. Raises `ScanError` where it lies on another grid."""
    if mask is None:
        return None
    return on_grid_of(mask, read(mask, permissive=permissive), scan)
