"""Which scans of a folder are fit to train on: each is read, and left out with a reason where it should not be there."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medgen.batch.body_part import Body, measure, part_of
from medgen.evaluation.likeness import FLOORS, NAMES, features
from medgen.scans import Case, Found, Scan, ScanError, read
from medgen.scans.dicom_header import text

LABELS = 64  #: an image of whole numbers with at most so many different ones is a label map
FAT = -50.0  #: HU; CT has fat and air below it, magnitude MR has nothing below zero
LIMIT = 6.0  #: robust standard deviations from the cohort's median, above which a scan is an outlier
FEWEST = 5  #: scans, below which nothing can be called an outlier
#: Beside the `NAMES` of likeness (sides and size in log2 mm), each with the difference that means little.
SIZES = {"shortest side": 0.15, "middle side": 0.15, "longest side": 0.15, "body's size": 0.15, "lung": 0.05, "bone": 0.03}
NUMBERS = (*NAMES, *SIZES)
MOST = 2 / 3  #: of those whose part of the body is plain by their voxels, which have to agree before another one is left out


@dataclass(frozen=True)
class Member:
    """A scan to train on."""

    case: Case
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    sha256: str  #: of the voxels, in canonical orientation
    numbers: np.ndarray = field(repr=False, compare=False)  #: what outliers are judged by
    patient: str = field(default="", repr=False)  #: DICOM PatientID; for grouping only, never written
    body_part: str = ""  #: DICOM BodyPartExamined
    body: Body = field(default_factory=Body)
    shows: str = ""  #: the part of the body by the voxels, where it is plain

    @property
    def source(self) -> Path:
        """The user's own file, or the folder of the series."""
        return self.case.files[0].parent if self.case.kind == "dicom" else self.case.files[0]


@dataclass(frozen=True)
class Excluded:
    """A scan that is not trained on, and why."""

    source: str
    reason: str
    unreadable: bool = False


@dataclass
class Cohort:
    """The scans to train on, and those left out."""

    members: list[Member]
    excluded: list[Excluded]


def gather(found: Found, modality: str, *, permissive: bool = False, keep_outliers: bool = False) -> Cohort:
    """Read every scan and keep what is fit to train a bundle for `modality` ("MR" or "CT") on.

    Left out, in this order: what cannot be read, label maps and scans of one value, another modality (by the header, else
    by whether there are values as CT has them), voxels that were there before, and unless `keep_outliers` another body
    part than most of the cohort's DICOM headers state, or where a header states none than most of the cohort show, and
    outliers: more than `LIMIT` robust standard deviations (median and MAD) from the cohort in a number of geometry or
    intensity.
    """
    members: dict[str, Member] = {}
    excluded = [Excluded(error.path, f"{error.reason}; {error.remedy}", unreadable=True) for error in found.errors]
    for case in found.cases:
        try:
            scan = read(case, permissive=permissive)
        except ScanError as error:
            excluded.append(Excluded(error.path, f"{error.reason}; {error.remedy}", unreadable=True))
            continue
        member = _member(case, scan, modality)
        wrong = _wrong(scan, modality)
        if wrong:
            excluded.append(Excluded(str(member.source), wrong))
        elif member.sha256 in members:
            excluded.append(Excluded(str(member.source), f"the same voxels as {members[member.sha256].source}"))
        else:
            members[member.sha256] = member
    kept = list(members.values())
    if not keep_outliers:
        for find_odd in (_other_parts, _other_bodies, _outliers):
            odd = find_odd(kept)
            excluded += [Excluded(str(member.source), reason) for member, reason in odd]
            names = {member.case.name for member, _ in odd}
            kept = [member for member in kept if member.case.name not in names]
    return Cohort(kept, excluded)


def _member(case: Case, scan: Scan, modality: str) -> Member:
    image, spacing = np.asarray(scan.image[0]), scan.spacing
    axes = nib.io_orientation(scan.image.affine.numpy())
    upright = np.ascontiguousarray(nib.apply_orientation(image, axes), dtype=np.float32)  # however the file stored it
    digest = hashlib.sha256(repr(upright.shape).encode() + upright.tobytes()).hexdigest()
    extents = np.sort(np.log2(np.array(image.shape) * np.array(spacing)))
    body = measure(upright, [spacing[axis] for axis in np.argsort(axes[:, 0])], modality)
    sizes = [*extents, np.log2(10 * np.sqrt(max(body.area, 1.0))), body.lung, body.bone]
    numbers = np.concatenate([features(image, spacing, 1000.0 if modality == "CT" else None), sizes])
    patient, part = (text(scan.slices[0], key) if scan.slices else "" for key in ("PatientID", "BodyPartExamined"))
    return Member(case, tuple(image.shape), spacing, digest, numbers, patient, part.upper(), body, part_of(body, modality))


def _wrong(scan: Scan, modality: str) -> str:
    """Return why a scan is of no use whatever the others are, or ""."""
    values = np.asarray(scan.image[0]).reshape(-1)
    sample = values[:: max(1, len(values) // 500_000)]
    if values.min() == values.max():
        return f"all its voxels are {values[0]:g}"
    if scan.modality and scan.modality != modality:
        return f"its header says {scan.modality}; this bundle is for {modality}"
    if scan.modality:
        return ""
    if len(np.unique(sample)) <= LABELS and np.array_equal(sample, np.rint(sample)):
        return f"a label map: {len(np.unique(sample))} different whole numbers"
    lowest = float(np.percentile(sample, 1))
    if modality == "MR" and lowest < FAT:
        return f"looks like CT, not MR: values down to {lowest:.0f}"
    if modality == "CT" and lowest >= FAT:
        return f"looks not like CT in HU: no fat or air, hardly a value below {FAT:.0f}"
    return ""


def _other_parts(members: Sequence[Member]) -> list[tuple[Member, str]]:
    """Return the scans whose header states another body part than most of those that state one."""
    stated = Counter(member.body_part for member in members if member.body_part)
    if not stated:
        return []
    most, count = stated.most_common(1)[0]
    if 2 * count <= sum(stated.values()):
        return []
    return [
        (member, f"its BodyPartExamined is {member.body_part}, that of {count} others {most}")
        for member in members
        if member.body_part not in ("", most)
    ]


def _other_bodies(members: Sequence[Member]) -> list[tuple[Member, str]]:
    """Return the scans without a stated body part that plainly show another one than most of those that show one plainly."""
    shown = Counter(member.shows for member in members if member.shows)
    if not shown:
        return []
    most, count = shown.most_common(1)[0]
    if count < MOST * sum(shown.values()):
        return []
    return [
        (member, f"looks like another part of the body: {member.shows} ({member.body}), {count} others {most}")
        for member in members
        if member.shows not in ("", most) and not member.body_part
    ]


def _outliers(members: Sequence[Member]) -> list[tuple[Member, str]]:
    """Return the scans that lie far from the median of the others in some number, with that number."""
    if len(members) < FEWEST:
        return []
    table = np.stack([member.numbers for member in members])
    floors = np.concatenate([FLOORS, list(SIZES.values())])
    middle = np.median(table, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(table - middle), axis=0), floors)
    odd = []
    for member, row in zip(members, np.abs(table - middle) / spread):
        worst = int(row.argmax())
        if row[worst] > LIMIT:
            name, own = NUMBERS[worst], member.numbers[worst]
            odd.append((member, f"outlier: {name} {own:.3g}, of most {middle[worst]:.3g} ({row[worst]:.1f} deviations)"))
    return odd


def report(cohort: Cohort) -> dict[str, Any]:
    """Return what was kept and left out, for JSON: the user's own paths, and nothing of a patient."""
    return {
        "kept": [
            {
                "file": str(member.source),
                "shape": list(member.shape),
                "spacing_mm": [round(float(v), 4) for v in member.spacing],
                "voxels_sha256": member.sha256,
                **{name: round(float(v), 4) for name, v in zip(NUMBERS, member.numbers)},
                "shows": member.shows,
            }
            for member in cohort.members
        ],
        "excluded": excluded_rows(cohort.excluded),
    }


def excluded_rows(excluded: Iterable[Excluded]) -> list[dict[str, str]]:
    """Return files and reasons, for JSON."""
    return [{"file": one.source, "reason": one.reason} for one in excluded]
