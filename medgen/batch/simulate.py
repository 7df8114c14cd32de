"""An operation on a scan: take something out, let the brain sink, put something in; every file says that it is synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from scipy.ndimage import distance_transform_edt

from medgen.anatomy import surgery
from medgen.anatomy.classes import LESIONS, classes_of, scheme_of
from medgen.anatomy.flow import Room, motion, spacing_of, warp_by_field
from medgen.anatomy.lesions import KINDS, OEDEMA, place_lesion
from medgen.anatomy.places import place_mask
from medgen.anatomy.sides import LATERAL, millilitres, side_mask, within_skull
from medgen.batch.apply import apply
from medgen.batch.pairing import same_grid
from medgen.batch.sidecar import describe, versions, write_json
from medgen.bundles import Bundle, BundleError, available, choose_device, find, read_metadata
from medgen.scans import Scan, read, write_nifti
from medgen.scans import find as find_scans
from medgen.scans.nifti_write import write_field
from medgen.text.parse import parse
from medgen.text.spec import Lesion, Range

CAVITY = 905
INSERTS = ("lesion", "electrode", "void")


@dataclass(frozen=True)
class Operation:
    """What is done to a scan; points in mm of world RAS, lengths in mm."""

    text: str | None = None  #: a lesion: what to insert with insert "lesion", else what to remove
    fill: str = "fluid"  #: "fluid" or "healthy"
    bundle: str | None = None  #: that fills in healthy tissue; by default one for repair of this kind of scan
    shift: float = 0.0  #: how far the brain sinks into the cavity
    insert: str | None = None  #: of INSERTS
    at: tuple[float, float, float] | None = None  #: centre, or tip of an electrode
    entry: tuple[float, float, float] | None = None  #: where an electrode comes through
    size: float | None = None  #: diameter of what is inserted
    kind: str = "ms-like"  #: of a lesion that is inserted at a point
    steps: int = 4  #: parts that the shift is shown in
    fluid: float | None = None  #: intensity of fluid; by default the scan's own
    seed: int = 0
    device: str | None = None


@dataclass
class _State:
    """A scan during the operation."""

    image: np.ndarray
    labels: np.ndarray | None
    cavity: np.ndarray
    field: np.ndarray
    frames: list[np.ndarray]
    report: dict[str, Any]
    warnings: list[str]


def simulate(path: Path, output: Path, operation: Operation, *, remove: Path | None = None, labels: Path | None = None) -> dict[str, Any]:
    """Operate on a scan and write before, after, steps, field and label map beside a report (JSON); return the report.

    Args:
        path: one scan, as NIfTI or DICOM.
        output: folder; files are named like the scan with `_synthetic_` and what they are.
        remove: a mask on the scan's grid; nonzero is taken out.
        labels: a label map of it with sides (`medgen.anatomy.classes`).

    Raises `ScanError` for files, `BundleError`, `TextError`, and ValueError for what cannot be done.
    """
    cases, errors, _ = find_scans(path)
    if errors or len(cases) != 1:
        raise errors[0] if errors else ValueError(f"{path}: holds {len(cases)} scans; name one of them")
    scan = read(cases[0])
    held = [_beside(one, scan) for one in (labels, remove)]
    map_, mask = (None if one is None else np.rint(np.asarray(one.image[0])).astype(np.int32) for one in held)
    image, affine = np.asarray(scan.image[0], np.float32), scan.image.affine.numpy().astype(float)
    scheme = "" if map_ is None else scheme_of(map_)
    if operation.text is not None and (map_ is None or scheme not in LATERAL):
        raise ValueError("--text needs --labels: a label map with sides and lobes, of FreeSurfer, SynthSeg or DLMUSE")
    empty = np.zeros(image.shape, bool)
    state = _State(image, map_, empty, np.zeros((*image.shape, 3), np.float32), [image], {}, list(scan.warnings))
    ventricles = np.isin(map_, sum(LATERAL[scheme], ())) if scheme in LATERAL and map_ is not None else None
    fluid = surgery.fluid_of(image, affine, ventricles, operation.fluid)
    state.report["fluid"] = {key: value if isinstance(value, str) else round(value, 3) for key, value in asdict(fluid).items()}
    wanted = _lesions(operation.text, state)
    taken = empty if mask is None else mask != 0
    if mask is not None and not taken.any():
        raise ValueError("the mask of what to remove is empty")
    if wanted and operation.insert != "lesion":
        for lesion in wanted:
            taken = taken | _named(lesion, state, affine, scheme, operation.seed)
    if taken.any():
        _remove(state, scan, taken, fluid, operation, affine)
    if operation.shift:
        _sink(state, operation, affine, scheme)
    if operation.insert:
        _insert(state, operation, wanted if operation.insert == "lesion" else [], fluid, affine, scheme)
    if len(state.frames) == 1:
        raise ValueError("nothing is to be done: name what to remove (--remove, --text) or to insert (--insert)")
    return _write(state, scan, output, cases[0].name, operation)


def _beside(path: Path | None, scan: Scan) -> Scan | None:
    """Read what lies on a scan's grid."""
    if path is None:
        return None
    (case, *_), errors, _ = find_scans(path) if path.exists() else ([None], [], [])
    found = read(path if case is None or errors else case)
    if case is not None:
        same_grid(case, found, scan)
    return found


def _lesions(text: str | None, state: _State) -> list[Lesion]:
    """Return the lesions of a sentence; what it says besides is noted as not done."""
    if text is None:
        return []
    parsed = parse(text)
    if not parsed.spec.lesions:
        raise ValueError("the text names no lesion; say its kind, side, place and size, such as '30 mm tumour in the left temporal lobe'")
    state.warnings += parsed.warnings
    others = [name for name in parsed.spec.model_dump(exclude_none=True) if name != "lesions"]
    if others or parsed.ignored:
        state.warnings.append(f"of the text, this was not used: {', '.join([*others, *parsed.ignored])}")
    return parsed.spec.lesions


def _middle(value: Range | None) -> float | None:
    ends = [end for end in (value.low, value.high) if end is not None] if value is not None else []
    return sum(ends) / len(ends) if ends else None


def _named(lesion: Lesion, state: _State, affine: np.ndarray, scheme: str, seed: int) -> np.ndarray:
    """Return what a sentence means by what is to be removed: the map's lesions there, a part of a size, or the whole place."""
    labels = _labels(state)
    here = side_mask(labels, affine, scheme, lesion.side)
    present = np.isin(labels, [number for number in LESIONS if number not in (OEDEMA, CAVITY)]) & here
    if lesion.place is not None and present.any():  # a lesion hides the labels of its place
        near = distance_transform_edt(~place_mask(labels, affine, scheme, lesion.place), spacing_of(affine)) <= 5
        present &= near
    if present.any():
        return present
    size = _middle(lesion.diameter_mm)
    if size is not None:
        made = place_lesion(labels, affine, scheme, size, kind="tumour-like" if lesion.kind == "unspecified" else lesion.kind,
                            side=lesion.side, place=lesion.place, oedema_mm=0, seed=seed)  # fmt: skip
        state.report["region"] = made.report
        return made.labels != labels
    if lesion.place is None:
        raise ValueError("the label map has no such lesion; say a place or a size to remove")
    return place_mask(labels, affine, scheme, lesion.place) & here


def _labels(state: _State) -> np.ndarray:
    if state.labels is None:
        raise ValueError("this needs --labels: a label map of the scan")
    return state.labels


def _remove(state: _State, scan: Scan, taken: np.ndarray, fluid: surgery.Fluid, operation: Operation, affine: np.ndarray) -> None:
    """Take a region out: fluid into it, or what a bundle for repair takes for healthy."""
    if operation.fill not in ("fluid", "healthy"):
        raise ValueError(f"there is no fill '{operation.fill}'; choose from: fluid, healthy")
    done: dict[str, Any] = {"fill": operation.fill, "requested_ml": round(millilitres(taken, affine), 4)}
    if operation.fill == "fluid":
        state.image = surgery.put(state.image, taken, fluid.value, fluid.noise, operation.seed)
        state.cavity = taken
        if state.labels is not None:
            state.labels = np.where(taken, CAVITY, state.labels)
    else:
        bundle = _repairer(scan, operation)
        hole = replace(scan, image=MetaTensor(torch.from_numpy(taken[None].astype(np.float32)), affine=scan.image.affine))
        made = apply(bundle, scan, hole)
        state.warnings += made.warnings
        state.image = np.where(taken, made.images[""], state.image)
        done |= {"bundle": bundle.root.name, "bundle_version": bundle.metadata.get("version"), "weights_sha256": bundle.metadata.get("weights_sha256")}
        if state.labels is not None:
            _, (x, y, z) = distance_transform_edt(taken, spacing_of(affine), return_indices=True)
            state.labels = state.labels[x, y, z]
    state.report["removed"] = done
    state.frames.append(state.image)


def _repairer(scan: Scan, operation: Operation) -> Bundle:
    """Return the bundle that fills holes: the one asked for, else the first for repair of this modality."""
    modality = scan.modality or "MR"
    names = [operation.bundle] if operation.bundle else [
        name for name, root in available().items()
        if (about := read_metadata(root)).get("purpose") == "repair"
        and about["network_data_format"]["inputs"]["image"].get("modality") == modality
    ]  # fmt: skip
    if not names:
        raise BundleError(f"no bundle here repairs {modality} scans; name one with --bundle (medgen bundles)")
    bundle = Bundle(Path(find(names[0])), choose_device(operation.device))
    if bundle.metadata.get("purpose") != "repair":
        raise BundleError(f"the bundle '{names[0]}' does not repair; choose one that does (medgen bundles)")
    return bundle


def _sink(state: _State, operation: Operation, affine: np.ndarray, scheme: str) -> None:
    """Let the brain sink into the cavity, step by step."""
    if not state.cavity.any():
        raise ValueError("a shift needs a cavity: remove something, with fluid in its place")
    if state.labels is None:
        inside, outer = surgery.within(state.image, affine), np.zeros_like(state.cavity)
        state.warnings.append("without labels the skull is not known; nothing moves in the outer 15 mm of the head")
    else:
        inside, outer = within_skull(state.labels, scheme), classes_of(state.labels, scheme) == 9
    if not (inside & state.cavity).any():
        raise ValueError("the cavity lies outside of what can move; give --labels, or another region")
    room = Room(inside, spacing_of(affine))
    shifts = surgery.sink(room, state.cavity & inside, outer & ~state.cavity, operation.shift, operation.steps)
    filled, cavity = state.image, state.cavity
    for shift in shifts:
        field = room.field(shift, affine)
        state.frames.append(warp_by_field(filled, field, affine))
    state.field, state.image = field, state.frames[-1]
    state.cavity = warp_by_field(cavity.astype(np.uint8), field, affine, "nearest") > 0
    if state.labels is not None:
        state.labels = warp_by_field(state.labels, field, affine, "nearest")
    state.report["shift"] = {
        "requested_mm": operation.shift, "obtained_mm": round(float(np.linalg.norm(field, axis=-1)[~state.cavity].max()), 3),
        "cavity_before_ml": round(millilitres(cavity, affine), 4), "cavity_after_ml": round(millilitres(state.cavity, affine), 4), **motion(field, affine),
    }  # fmt: skip


def _insert(state: _State, operation: Operation, wanted: Sequence[Lesion], fluid: surgery.Fluid, affine: np.ndarray, scheme: str) -> None:
    """Put lesions, an electrode or a void in."""
    if operation.insert not in INSERTS:
        raise ValueError(f"'{operation.insert}' cannot be inserted; choose from: {', '.join(INSERTS)}")
    done: list[dict[str, Any]] = []
    if wanted:
        _insert_named(state, wanted, fluid, affine, scheme, operation.seed, done)
    elif operation.at is None:
        raise ValueError(f"where is the {operation.insert} to be? Give --at R,A,S in mm" + (", or --text and --labels" if operation.insert == "lesion" else ""))
    else:
        size = operation.size or (3.0 if operation.insert == "electrode" else 10.0)
        if operation.insert == "electrode":
            if operation.entry is None:
                raise ValueError("an electrode needs --entry R,A,S in mm: the point that it comes through")
            mask = surgery.rod(affine, state.image.shape, operation.at, operation.entry, size) & surgery.head_of(state.image)
        else:
            mask = surgery.ball(affine, state.image.shape, operation.at, size)
        if not mask.any():
            raise ValueError(f"the {operation.insert} of {size:g} mm is smaller than a voxel, or outside of the head")
        if operation.insert == "lesion":
            number = KINDS[operation.kind].number
            state.image = surgery.insert_lesion(state.image, mask, number, fluid)
            if state.labels is not None:
                state.labels = np.where(mask, number, state.labels)
        else:
            state.image = surgery.put(state.image, mask, max(float(state.image.min()), 0.0), 0.0, operation.seed)  # no signal
        done.append({"insert": operation.insert, "at_mm": list(operation.at), "size_mm": size, "obtained_ml": round(millilitres(mask, affine), 4)})
    state.report["inserted"] = done
    state.frames.append(state.image)


def _insert_named(state: _State, wanted: Sequence[Lesion], fluid: surgery.Fluid, affine: np.ndarray, scheme: str, seed: int,
                  done: list[dict[str, Any]]) -> None:  # fmt: skip
    for lesion in wanted:
        size, count = _middle(lesion.diameter_mm), int(_middle(lesion.count) or 1)
        if size is None:
            raise ValueError("say the lesion's size, such as 12 mm")
        for number in range(count):
            side = ("left", "right")[number % 2] if lesion.side == "bilateral" else lesion.side
            before = _labels(state)
            oedema = 0.0 if lesion.oedema is False else min(size / 2, 20) if lesion.oedema else None
            made = place_lesion(before, affine, scheme, size, kind=lesion.kind, side=side, place=lesion.place, oedema_mm=oedema, seed=seed + len(done))
            for value in (OEDEMA, KINDS[lesion.kind].number):
                new = (made.labels == value) & (before != value)
                state.image = surgery.insert_lesion(state.image, new, value, fluid)
            state.labels = made.labels
            done.append(made.report)


def _write(state: _State, scan: Scan, output: Path, name: str, operation: Operation) -> dict[str, Any]:
    """Write all that was made, the report last."""
    output.mkdir(parents=True, exist_ok=True)
    files = {what: output / f"{name}_synthetic_{what}.nii.gz" for what in ("before", "after", "steps", "field", *(["labels"] if state.labels is not None else []))}
    series = np.stack(state.frames)
    told = "SYNTHETIC: medgen simulate,"
    write_nifti(files["before"], state.frames[0], scan, description=f"{told} before (the scan itself)")
    write_nifti(files["after"], state.image, scan, description=f"{told} after")
    whole = replace(scan, image=MetaTensor(torch.from_numpy(series), affine=scan.image.affine))
    write_nifti(files["steps"], series, whole, description=f"{told} {len(series)} steps")
    write_field(files["field"], state.field, scan, description=f"{told} after(x) = before(x + field), mm RAS")
    if state.labels is not None:
        write_nifti(files["labels"], state.labels, scan, dtype=np.dtype(np.int16), description=f"{told} labels after")
    report = {
        "synthetic": True, "derived": True, "made_by": "medgen simulate", "input_sha256": scan.sha256, **describe(scan), "warnings": state.warnings,
        "operation": {key: value for key, value in asdict(operation).items() if key != "text"}, "steps": len(series), **state.report,
        "outputs": {what: path.name for what, path in files.items()}, "libraries": versions(),
    }  # fmt: skip
    write_json(output / f"{name}_synthetic.json", report)
    return report
