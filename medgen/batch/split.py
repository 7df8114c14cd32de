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

#: Parts of a name, or whole folders, that tell the sequence or the session, not the subject.
NO_SUBJECT = re.compile(
    r"(?i)^(t1w?|t2w?|t1c|t1ce|t1gd|t1km|t1post|t2star|pdw?|flair|dwi|dti|adc|swi|mra|mprage|tof|ct|mr|mri|pre|post|raw|brain"
    r"|norm|reg|anat|baseline|follow-?up\d*|(ses|acq|desc|space)-.*"
    r"|(ses|session|visit|tp|timepoint|scan|run|rec|echo|series)-?\d\w*)$"
)
#: Folders that tell the kind of file.
KIND = re.compile(r"(?i)^(scans?|images?(t[rs])?|volumes?|data|nifti|nii|dicom|train(ing)?|val(idation)?|test)$")
RULE = (
    "the subject of a scan is, in this order: what --subjects says; its DICOM PatientID; BIDS sub-XX in its path; its folders "
    "without those that tell a sequence, a session or a kind of file (of DICOM, and without that of the series), where the "
    "scans lie in several; its name up to its first number, without the parts that tell such a thing (T1, FLAIR, ses-1, ...)"
)


def subjects(members: Sequence[Member], data: Path, table: Path | None = None) -> dict[str, str]:
    """Return the subject of each scan by the name of its case; see `RULE`.

    Patients are numbered: not even a hash of their ID is kept, which could be guessed.

    Args:
        data: the folder that was searched.
        table: a CSV file with the columns "file" (path below `data`, file name or name of the case) and "subject".
    """
    told = _read_table(table) if table else {}
    folders = {member.case.name: _folder(_below(member.source, data)) for member in members}
    several = len(set(folders.values())) > 1
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
        elif several and folders[member.case.name]:
            found[member.case.name] = f"folder {folders[member.case.name]}"
        else:
            found[member.case.name] = _named(member.source.name)
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


def _folder(below: Path) -> str:
    """Return the folders of a file, or of the folder of a series, that may tell a subject; "" where there are none."""
    return "/".join(part for part in below.parts[:-1] if not NO_SUBJECT.match(part) and not KIND.match(part))


def _named(name: str) -> str:
    """Return the part of a file's name that tells its subject: as much as two of its scans are sure to share."""
    parts = re.split(r"[_\-. ]+", re.sub(r"(\.nii)?\.\w+$", "", name))
    own = [part for part in parts if not NO_SUBJECT.match(part)] or parts
    number = next((n for n, part in enumerate(own, 1) if re.search(r"\d", part)), len(own))
    return "_".join(own[:number])


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
