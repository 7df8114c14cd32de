"""What can be done to a scan in `simulate`: take out, let sink, put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.random import RandomState
from scipy.ndimage import distance_transform_edt

from medgen.anatomy import surgery
from medgen.anatomy.classes import LESIONS, classes_of, scheme_of
from medgen.anatomy.flow import Room, motion, spacing_of, warp_by_field
from medgen.anatomy.lesions import KINDS, OEDEMA
from medgen.anatomy.sides import PAIRS, millilitres, side_mask, within_skull
from medgen.batch.apply import apply, repairs
from medgen.batch.operation_text import CAVITY, NUMBERS, oedema_of, parts_of, place_apart, reach_of
from medgen.bundles import Bundle, BundleError, available, choose_device, find, read_metadata
from medgen.scans import Scan
from medgen.synthesis.halves import TISSUE
from medgen.text.spec import Lesion

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
class State:
    """A scan during the operation."""

    image: np.ndarray
    labels: np.ndarray | None
    cavity: np.ndarray
    field: np.ndarray
    frames: list[np.ndarray]
    report: dict[str, Any]
    warnings: list[str]


def take_out(state: State, scan: Scan, taken: np.ndarray, fluid: surgery.Fluid, operation: Operation, affine: np.ndarray) -> None:
    """Take a region out: fluid into it, or what a bundle for repair takes for healthy."""
    if operation.fill not in ("fluid", "healthy"):
        raise ValueError(f"there is no fill '{operation.fill}'; choose from: fluid, healthy")
    done: dict[str, Any] = {"fill": operation.fill, "requested_ml": round(millilitres(taken, affine), 4)}
    if state.labels is not None and (own := oedema_of(taken, state.labels, affine)).any():
        done["oedema_ml"], done["oedema_left_ml"] = (round(millilitres(own & part, affine), 4) for part in (taken, ~taken))
        if done["oedema_left_ml"]:
            state.warnings.append(
                f"{done['oedema_left_ml']:g} ml of oedema around what was removed stay, in the scan and in the label map; "
                "to remove them too, say 'with oedema' in the text, or have them in the mask"
            )
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
            state.labels = _healed(state.labels, taken, affine)
    state.report["removed"] = done
    state.frames.append(state.image)


def _healed(labels: np.ndarray, taken: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the label map with a region as what is nearest: first oedema as white matter, then lesions as tissue, each of its side."""
    scheme, all_ = scheme_of(labels), np.ones(labels.shape, bool)
    for numbers, classes in (((OEDEMA,), (2,)), (NUMBERS, TISSUE)):
        part = taken & np.isin(labels, numbers)
        left = side_mask(labels, affine, scheme, "left") if part.any() and scheme in PAIRS else all_
        known = ~taken & np.isin(classes_of(labels, scheme), classes)
        for half in (left, ~left):
            if (part & half).any() and (known & half).any():
                labels = np.where(part & half, labels[_nearest(known & half, affine)], labels)
                taken = taken & ~(part & half)
    return np.where(taken, labels[_nearest(~taken & ~np.isin(labels, list(LESIONS)), affine)], labels) if taken.any() else labels


def _nearest(mask: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the index of the voxel of a mask that is nearest to each voxel."""
    return tuple(distance_transform_edt(~mask, spacing_of(affine), return_distances=False, return_indices=True))


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
    if not repairs(bundle):
        raise BundleError(f"the bundle '{names[0]}' does not repair; choose one that does (medgen bundles)")
    return bundle


def sink(state: State, operation: Operation, affine: np.ndarray, scheme: str) -> None:
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


def insert(state: State, operation: Operation, wanted: Sequence[Lesion], fluid: surgery.Fluid, affine: np.ndarray, scheme: str) -> None:
    """Put lesions, an electrode or a void in."""
    if operation.insert not in INSERTS:
        raise ValueError(f"'{operation.insert}' cannot be inserted; choose from: {', '.join(INSERTS)}")
    if operation.kind not in KINDS:
        raise ValueError(f"there is no kind '{operation.kind}' of lesion; choose from: {', '.join(KINDS)}")
    done: list[dict[str, Any]] = []
    if wanted:
        _insert_named(state, wanted, fluid, affine, scheme, operation.seed, done)
    elif operation.at is None:
        raise ValueError(f"where is the {operation.insert} to be? Give --at R,A,S in mm" + (", or --text and --labels" if operation.insert == "lesion" else ""))
    else:
        size = operation.size or (5.0 if operation.insert == "electrode" else 10.0)  # the void around a thin lead
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


def _insert_named(state: State, wanted: Sequence[Lesion], fluid: surgery.Fluid, affine: np.ndarray, scheme: str, seed: int,
                  done: list[dict[str, Any]]) -> None:  # fmt: skip
    if state.labels is None:
        raise ValueError("this needs --labels: a label map of the scan")
    rng = RandomState(seed)
    for lesion in wanted:
        for side, mm in parts_of(lesion, rng):
            new, rim, report = place_apart(
                state.labels, affine, scheme, mm, lesion=lesion, side=side, oedema_mm=reach_of(lesion, mm), seed=seed + len(done)
            )
            for value, mask in ((OEDEMA, rim), (KINDS[lesion.kind].number, new)):
                state.image = surgery.insert_lesion(state.image, mask, value, fluid)
                state.labels = np.where(mask, value, state.labels)
            done.append(report)
