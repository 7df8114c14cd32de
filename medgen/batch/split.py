"""Who is trained on and who is held out: whole subjects, never scans of one subject on both sides."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.random import RandomState

from medgen.batch.cohort import Member
from medgen.bundles import BundleError

#: Parts of a name that tell the sequence or the session, not the subject.
SEQUENCE = re.compile(
    r"(?i)^(t1w?|t2w?|t1c|t1ce|t1gd|t1km|t1post|t2star|pdw?|flair|dwi|dti|adc|swi|mra|mprage|tof|ct|mr|mri|pre|post|raw|brain"
    r"|norm|reg|(ses|run|acq|rec|echo|desc|space)-.*)$"
)
RULE = (
    "the subject of a scan is, in this order: what --subjects says; its DICOM PatientID; BIDS sub-XX in its path; its folder, "
    "where the scans lie in several; its name without the parts that tell a sequence or session (T1, FLAIR, ses-1, ...)"
)


def subjects(members: Sequence[Member], data: Path, table: Path | None = None) -> dict[str, str]:
    """Return the subject of each scan by the name of its case; see `RULE`.

    Patients are numbered: not even a hash of their ID is kept, which could be guessed.

    Args:
        data: the folder that was searched.
        table: a CSV file with the columns "file" (path below `data`, file name or name of the case) and "subject".
    """
    told = _read_table(table) if table else {}
    folders = {member.source.parent for member in members if member.case.kind != "dicom"}
    folders |= {member.source for member in members if member.case.kind == "dicom"}
    found: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for member in members:
        below = _below(member.source, data)
        bids = re.search(r"(?:^|[/_])(sub-[A-Za-z0-9]+)", below.as_posix())
        keys = (below.as_posix(), member.source.name, member.case.name)
        subject = next((told[key] for key in keys if key in told), "")
        if subject:
            found[member.case.name] = subject
        elif table:
            raise BundleError(f"{table}: says nothing of {below}; add a line with its subject")
        elif member.patient:
            found[member.case.name] = f"patient {numbers.setdefault(member.patient, len(numbers) + 1)}"
        elif bids:
            found[member.case.name] = bids[1]
        elif len(folders) > 1:
            folder = below if member.case.kind == "dicom" else below.parent
            found[member.case.name] = f"folder {folder.as_posix()}"
        else:
            parts = re.split(r"_", re.sub(r"(\.nii)?\.\w+$", "", member.source.name))
            own = [part for part in parts if not SEQUENCE.match(part)]
            found[member.case.name] = "_".join(own or parts)
    return found


def divide(subject: dict[str, str], fraction: float, seed: int) -> set[str]:
    """Return the subjects to hold out: the fraction, at least one, drawn by the seed.

    Raises `BundleError` where there are not two subjects.
    """
    everyone = sorted(set(subject.values()))
    if len(everyone) < 2:
        what = f"all scans are of one subject, '{everyone[0]}'" if everyone else "there is no scan to train on"
        raise BundleError(f"{what}; validation needs two: give more scans, or say who is who (--subjects FILE.csv)")
    count = min(max(1, round(fraction * len(everyone))), len(everyone) - 1)
    return {everyone[n] for n in RandomState(seed).permutation(len(everyone))[:count]}


def rows(members: Sequence[Member], paths: dict[str, Path], subject: dict[str, str]) -> list[dict[str, Any]]:
    """Return the scans for split.json: the file to train on, whose it is, and where it came from."""
    return [
        {"file": str(paths[m.case.name]), "subject": subject[m.case.name], "source": str(m.source)}
        for m in members
    ]  # fmt: skip


def _below(path: Path, data: Path) -> Path:
    path, data = path.resolve(), data.resolve()
    return path.relative_to(data) if path.is_relative_to(data) else path


def _read_table(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise BundleError(f"{path}: cannot be read ({error}); give a CSV file with the columns file and subject") from None
    if not lines or not {"file", "subject"} <= set(lines[0]):
        raise BundleError(f"{path}: has no columns 'file' and 'subject'; add a first line that names them")
    return {line["file"].strip(): (line["subject"] or "").strip() for line in lines}
