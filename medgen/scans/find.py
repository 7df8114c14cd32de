"""Walk a path, group DICOM files into volumes, and name each case."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pydicom

from medgen.scans.scan import ScanError

SUFFIXES = {".nii": "nifti", ".nii.gz": "nifti", ".nrrd": "nrrd", ".mha": "mha", ".mhd": "mha", ".dcm": "dicom"}
#: What tells one volume from another inside a series (echo, phase, time point, b-value), and what is no volume.
TAGS = ["SeriesInstanceUID", "SeriesNumber", "Modality", "Rows", "Columns", "ImageOrientationPatient", "ImageType",
        "EchoTime", "TemporalPositionIdentifier", "DiffusionBValue"]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One volume to read: a name that is safe as a file name and unique within one `find`, and its files."""

    name: str
    files: tuple[Path, ...]
    kind: str  #: "dicom", "nifti", "nrrd" or "mha"


class Found(NamedTuple):
    """What is under a path."""

    cases: list[Case]  #: sorted by name
    errors: list[ScanError]  #: one for each path without any scan
    skipped: list[str]  #: what is no volume and was passed over, with the reason: "FILE: is a localizer"


def find(paths: Path | Sequence[Path], *, four_d: bool = False) -> Found:
    """Return the scans under `paths` (files, folders, trees), an error for each path without any, and what was skipped.

    Files in a folder are scans by their suffix, or by the DICM mark of DICOM. A broken slice is a case of its own, so that
    it is an error when read, not a slice less. Hidden files, localizers and DICOM objects without pixels are passed over.
    Names come from files and folders, never from headers (but for modality and series number).
    """
    cases: list[Case] = []
    errors: list[ScanError] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        path = Path(path)
        if not path.exists():
            errors.append(ScanError(path, "there is no such file or folder", "check the path"))
            continue
        try:
            found = _cases(path)
        except OSError as error:
            errors.append(ScanError(path, f"cannot be read ({error.strerror})", "check its permissions"))
            continue
        if not found:
            what = "holds no scans" if path.is_dir() else "is not a scan"
            errors.append(ScanError(path, what, "give NIfTI, DICOM, NRRD or MHA, or a folder of them"))
        cases.extend(case for case in found if case not in cases)
    unique = _unique(sorted(cases, key=lambda case: (case.name, case.files)))
    return Found(sorted(unique, key=lambda case: case.name), errors, [])


def kind_of(path: Path) -> str | None:
    """Return the kind of a file by its suffix (of DICOM, .dcm) or the DICM mark, or None."""
    name = path.name.lower()
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    with path.open("rb") as file:
        return "dicom" if file.read(132)[128:] == b"DICM" else None


def _cases(path: Path) -> list[Case]:
    cases: list[Case] = []
    series: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in _files(path):
        kind = kind_of(file)
        if kind == "dicom":
            key = _volume_key(file)
            if key:
                series[key].append(file)
        elif kind:
            cases.append(Case(_safe(re.sub(r"(\.nii)?\.\w+$", "", file.name, flags=re.IGNORECASE)), (file,), kind))
    shared = Counter(files[0].parent for files in series.values())
    for key, files in series.items():
        parent = files[0].parent.resolve()
        name = _safe(parent.name or "scan")
        if shared[files[0].parent] > 1:
            name += f"_{_safe(key[1]) or 'series'}"
        cases.append(Case(name, tuple(sorted(files)), "dicom"))
    return cases


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for child in sorted(path.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir():
            if not (child.is_symlink() and path.resolve().is_relative_to(child.resolve())):  # a link back up has no end
                yield from _files(child)
        elif child.is_file():
            yield child


def _volume_key(file: Path) -> tuple[str, ...] | None:
    """Return what a slice shares with the others of its volume (series UID first, a short name second).

    None for what is no slice; a key of its own for what should be one but is broken.
    """
    broken = (str(file), "")
    try:
        ds = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
        image_type = [str(value) for value in ds.get("ImageType", None) or []]
        if "Rows" not in ds:
            storage = getattr(ds.file_meta.get("MediaStorageSOPClassUID"), "name", "")
            cut_short = "SeriesInstanceUID" not in ds and storage != "Media Storage Directory Storage"
            return broken if cut_short or "Image Storage" in storage else None  # so are the classes with pixels called
        if "LOCALIZER" in image_type or ds.get("Modality") in ("SEG", "SR", "RTSTRUCT", "PR", "KO"):
            return None
        orientation = ",".join(f"{float(value):.2f}" for value in ds.get("ImageOrientationPatient", None) or [])
        details = [str(ds.get(tag, "")) for tag in TAGS[3:] if tag not in ("ImageOrientationPatient", "ImageType")]
        short = f"{ds.get('Modality', '')}{ds.get('SeriesNumber', '') or ''}"
        return (str(ds.get("SeriesInstanceUID", "")), short, orientation, "/".join(image_type[2:]), *details)
    except Exception:  # noqa: BLE001  a broken file shows up as an error when it is read, not here
        return broken


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "scan"


def _unique(cases: list[Case]) -> list[Case]:
    """Prefix names that occur twice by their folder, and number what is still the same."""
    count = Counter(case.name for case in cases)
    longer = []
    for case in cases:
        folder = case.files[0].parent if case.kind != "dicom" else case.files[0].parent.parent
        name = f"{_safe(folder.resolve().name)}_{case.name}" if count[case.name] > 1 else case.name
        longer.append(replace(case, name=name))
    taken: set[str] = set()
    unique = []
    for case in longer:
        numbered = (case.name if number == 1 else f"{case.name}-{number}" for number in itertools.count(1))
        name = next(name for name in numbered if name.lower() not in taken)  # file names may not tell case
        taken.add(name.lower())
        unique.append(replace(case, name=name))
    return unique
