"""An operation on a scan: take something out, let the brain sink, put something in; every file says that it is synthetic."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

from medgen.anatomy import surgery
from medgen.anatomy.classes import scheme_of
from medgen.anatomy.sides import LATERAL
from medgen.batch.describe import SEGMENTER
from medgen.batch.operation import Operation, State, insert, sink, take_out
from medgen.batch.operation_text import lesions_of, named
from medgen.batch.pairing import on_grid_of
from medgen.batch.sidecar import describe, versions, write_json
from medgen.bundles import choose_device
from medgen.evaluation.segmenter import Segmenter
from medgen.scans import Case, Scan, find, read, write_nifti
from medgen.scans.nifti_write import write_field
from medgen.synthesis.halves import with_sides


def simulate(path: Path, output: Path, operation: Operation, *, remove: Path | None = None, labels: Path | None = None) -> dict[str, Any]:
    """Operate on a scan and write before, after, steps, field and label map beside a report (JSON); return the report.

    Args:
        path: one scan, as NIfTI or DICOM.
        output: folder; files are named like the scan with `_synthetic_` and what they are.
        remove: a mask on the scan's grid; nonzero is taken out.
        labels: a label map of it with sides (`medgen.anatomy.classes`); for a text without one a network makes it.

    Raises `ScanError` for files, `BundleError`, `TextError`, and ValueError for what cannot be done.
    """
    case, scan = _one(path)
    held = [_beside(one, scan) for one in (labels, remove)]
    map_, mask = (None if one is None else np.rint(np.asarray(one.image[0])).astype(np.int32) for one in held)
    image, affine = np.asarray(scan.image[0], np.float32), scan.image.affine.numpy().astype(float)
    wanted, warnings = ([], []) if operation.text is None else lesions_of(operation.text)
    report: dict[str, Any] = {}
    if wanted and map_ is None:
        map_ = _segmented(scan, operation.device)
        report["labelled_by"] = SEGMENTER
        warnings.append(f"the label map is by {SEGMENTER}, with sides by symmetry and lobes by an atlas; it knows no lesions (--labels gives another)")
    scheme = "" if map_ is None else scheme_of(map_)
    if wanted and scheme not in LATERAL:
        raise ValueError("--text needs --labels with sides and lobes, of FreeSurfer, SynthSeg or DLMUSE; or none, and a network makes them")
    empty = np.zeros(image.shape, bool)
    state = State(image, map_, empty, np.zeros((*image.shape, 3), np.float32), [image], report, [*scan.warnings, *warnings])
    ventricles = np.isin(map_, sum(LATERAL[scheme], ())) if scheme in LATERAL and map_ is not None else None
    fluid = surgery.fluid_of(image, affine, ventricles, operation.fluid)
    state.report["fluid"] = {key: value if isinstance(value, str) else round(value, 3) for key, value in asdict(fluid).items()}
    taken = empty if mask is None else mask != 0
    if mask is not None and not taken.any():
        raise ValueError("the mask of what to remove is empty")
    if wanted and operation.insert != "lesion" and map_ is not None:
        meant = named(wanted, map_, affine, scheme, seed=operation.seed, oedema=operation.fill == "healthy", known=labels is not None)
        taken = taken | meant.mask
        state.report["named"] = meant.told
        state.warnings += meant.warnings
    if taken.any():
        take_out(state, scan, taken, fluid, operation, affine)
    if operation.shift:
        sink(state, operation, affine, scheme)
    if operation.insert:
        insert(state, operation, wanted if operation.insert == "lesion" else [], fluid, affine, scheme)
    if len(state.frames) == 1:
        raise ValueError("nothing is to be done: name what to remove (--remove, --text) or to insert (--insert)")
    return _write(state, scan, output, case.name, operation)


def _segmented(scan: Scan, device: str | None) -> np.ndarray:
    """Return a label map that a network makes of an MR scan: sided FreeSurfer numbers, without lesions."""
    if scan.modality not in ("", "MR"):
        raise ValueError(f"--text needs --labels for {scan.modality}: {SEGMENTER} labels MR scans of brains")
    image, affine = np.asarray(scan.image[0], np.float32), scan.image.affine.numpy().astype(float)
    try:
        return with_sides(Segmenter(SEGMENTER, choose_device(device)).classes(image, affine), affine).astype(np.int32)
    except ValueError as error:
        raise ValueError(f"--text needs --labels here, as {SEGMENTER} does not do: {error}") from None


def _beside(path: Path | None, scan: Scan) -> Scan | None:
    """Read what lies on a scan's grid."""
    if path is None:
        return None
    case, found = _one(path)
    return on_grid_of(case, found, scan)


def _one(path: Path) -> tuple[Case, Scan]:
    """Read the one scan that is under a path."""
    cases, errors, _ = find(path)
    if errors or len(cases) != 1:
        raise errors[0] if errors else ValueError(f"{path}: holds {len(cases)} scans; name one of them")
    return cases[0], read(cases[0])


def _write(state: State, scan: Scan, output: Path, name: str, operation: Operation) -> dict[str, Any]:
    """Write all that was made, the report last."""
    output.mkdir(parents=True, exist_ok=True)
    files = {what: output / f"{name}_synthetic_{what}.nii.gz" for what in ("before", "after", "steps", "field", *(["labels"] if state.labels is not None else []))}
    series = np.stack(state.frames)
    told = "SYNTHETIC: medgen simulate,"
    write_nifti(files["before"], state.frames[0], scan, description=f"{told} before (the scan itself)")
    write_nifti(files["after"], state.image, scan, description=f"{told} after")
    whole = replace(scan, image=MetaTensor(torch.from_numpy(series), affine=scan.image.affine))
    write_nifti(files["steps"], series, whole, description=f"{told} {len(series)} steps")
    write_field(files["field"], state.field, scan, description=f"{told} filled scan at x + field, mm RAS")
    if state.labels is not None:
        write_nifti(files["labels"], state.labels, scan, dtype=np.dtype(np.int16), description=f"{told} labels after")
    report = {
        "synthetic": True, "derived": True, "made_by": "medgen simulate", "input_sha256": scan.sha256, **describe(scan), "warnings": state.warnings,
        "operation": {key: value for key, value in asdict(operation).items() if key != "text"}, "steps": len(series), **state.report,
        "outputs": {what: path.name for what, path in files.items()}, "libraries": versions(),
    }  # fmt: skip
    write_json(output / f"{name}_synthetic.json", report)
    return report
