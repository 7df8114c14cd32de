"""Which scan belongs to which: by name, and on the same grid."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from medgen.scans import Case, Scan, ScanError, find, read
from medgen.scans.bids import UNCERTAINTY, is_mask_of, scans_in, source_name, uncertainty_name


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
    """Say whether a case is, by its name, the uncertainty of a result beside it."""
    return case.name.endswith("_uncertainty") or case.name.rpartition("_")[0].endswith(UNCERTAINTY)


def map_name(name: str) -> str:
    """Return the name of the uncertainty map of a result, in a BIDS derivative or elsewhere."""
    return uncertainty_name(name) or f"{name}_uncertainty"


def same_grid(case: Case, scan: Scan, reference: Scan) -> None:
    """Raise `ScanError` where a case's scan lies on another grid than its reference."""
    shapes = [tuple(s.image.shape[1:]) for s in (scan, reference)]
    if shapes[0] != shapes[1]:
        raise ScanError(case.files[0], f"its shape {shapes[0]} is not the reference's {shapes[1]}", "resample one of them")
    corners = np.array([[*corner, 1] for corner in product(*((0, n) for n in shapes[0]))]).T
    apart = np.abs((scan.image.affine.numpy() - reference.image.affine.numpy()) @ corners).max()
    if apart > 0.1 * min(reference.spacing):  # a tenth of a voxel
        raise ScanError(case.files[0], f"lies {apart:.2f} mm off the reference's grid", "resample one of them")


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
        if not named:
            raise ScanError(path, f"holds no mask named {case.name}", "name masks like their scans (a, a_mask)")
        masks[case.name] = min(named, key=lambda mask: len(mask.name))
    return masks


def read_mask(mask: Case | None, scan: Scan, *, permissive: bool = False) -> Scan | None:
    """Read the mask of a scan, if it has one. Raises `ScanError` where it lies on another grid."""
    if mask is None:
        return None
    found = read(mask, permissive=permissive)
    same_grid(mask, found, scan)
    return found
