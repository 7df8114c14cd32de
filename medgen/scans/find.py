"""Walk a path, group DICOM files into volumes, and name each case."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from medgen.scans.dicom_find import Group, group
from medgen.scans.dicom_header import Instance
from medgen.scans.scan import ScanError

#: By suffix; pairs (.hdr) and MGH are here to be refused by name, not passed over.
SUFFIXES = {
    ".nii": "nifti", ".nii.gz": "nifti", ".hdr": "nifti", ".mgz": "nifti", ".mgh": "nifti",
    ".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "mha", ".mhd": "mha", ".dcm": "dicom",
}  # fmt: skip
NOT_HERE = "is a link to a file that is not here"
META = b"\2\0\0\0UL\4\0"  #: how the file meta information begins (PS3.10 7.1): a slice whose mark is damaged is not passed over


@dataclass(frozen=True)
class Case:
    """One volume to read (one 4D image, if asked for): a name that is safe as a file name and unique within one `find`."""

    name: str
    files: tuple[Path, ...]
    kind: str  #: "dicom", "nifti", "nrrd" or "mha"
    parts: Mapping[Path, tuple[int, ...]] | None = field(default=None, hash=False)  #: of multi-frame DICOM: by file, the frames
    headers: tuple[Instance, ...] = field(default=(), compare=False, repr=False)  #: of DICOM, parsed once
    notes: tuple[str, ...] = field(default=(), compare=False)  #: of DICOM, what lies beside it that reading warns of

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the headers, which are parsed again where the case goes."""
        return {**self.__dict__, "headers": ()}


class Found(NamedTuple):
    """What is under a path."""

    cases: list[Case]  #: sorted by name
    errors: list[ScanError]  #: one for each path without any scan
    skipped: list[str]  #: what is no volume and was passed over, with the reason: "FILE: is a localizer"


def find(paths: Path | Sequence[Path], *, four_d: bool = False) -> Found:
    """Return the scans under `paths` (files, folders, trees), an error for each path without any, and what was skipped.

    Files in a folder are scans by their suffix, or by the DICM mark of DICOM. DICOM files are grouped into volumes: one
    series may hold several, and one file too. With `four_d`, volumes of a series that lie at the same places and differ in
    time, echo or b-value are one case. A broken slice is a case of its own, so that it is an error when read, not a slice
    less. A link with the suffix of a scan that leads to no file is an error. Hidden files are passed over; so are localizers
    and DICOM objects that are no images, and other links that lead to no file, with a note.
    Names come from files and folders, never from headers (but for modality and series number).
    """
    cases: list[Case] = []
    errors: list[ScanError] = []
    skipped: list[str] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        path = Path(path)
        if not os.path.lexists(path):
            errors.append(ScanError(path, "there is no such file or folder", "check the path"))
            continue
        found, troubles, passed = _cases(path, four_d)
        errors += troubles
        skipped += [note for note in passed if note not in skipped]
        if not found and not troubles:
            what = "holds no scans" if path.is_dir() else "is not a scan"
            if passed:
                what += f" ({len(passed)} file(s) passed over, such as what {passed[0].rpartition(': ')[2]})"
            errors.append(ScanError(path, what, "give NIfTI, DICOM, NRRD or MHA, or a folder of them"))
        cases.extend(case for case in found if case not in cases)
    return Found(unique(cases), errors, skipped)


def kind_of(path: Path) -> str | None:
    """Return the kind of a file by its suffix (of DICOM, .dcm), the DICM mark or what follows it, or None."""
    kind = kind_by_name(path.name)
    if kind:
        return kind
    with path.open("rb") as file:
        head = file.read(140)
    return "dicom" if head[128:132] == b"DICM" or head[132:] == META else None


def kind_by_name(name: str) -> str | None:
    """Return the kind of a file by its suffix, or None."""
    return next((kind for suffix, kind in SUFFIXES.items() if name.lower().endswith(suffix)), None)


def not_here(link: Path) -> ScanError:
    """Return the error of a link that leads to no file, as in a checkout of git-annex whose content was not fetched."""
    return ScanError(link, NOT_HERE, "get its content (datalad get, git annex get), or remove the link")


def case_name(file: str) -> str:
    """Return the name of the case that a file, or a folder, is: safe as a file name, without the suffix of a scan."""
    return _safe(re.sub(r"(\.nii)?\.\w+$", "", file, flags=re.IGNORECASE) if kind_by_name(file) else file)


def _cases(path: Path, four_d: bool) -> tuple[list[Case], list[ScanError], list[str]]:
    cases: list[Case] = []
    errors: list[ScanError] = []
    dicom: list[Path] = []
    dangling: list[Path] = []
    for file in _files(path, errors, dangling, set()):
        try:
            kind = kind_of(file)
        except OSError as error:
            errors.append(_unreadable(file, error))
            continue
        if kind == "dicom":
            dicom.append(file)
        elif kind:
            cases.append(Case(case_name(file.name), (file,), kind))
    groups, skipped = group(dicom, four_d)
    lacking = {link.parent for link in dangling if kind_by_name(link.name) in ("dicom", None)}
    for one in groups:
        if one.files[0].parent in lacking:
            one.notes += ("may lack slices: a link beside it leads to no file",)
    names = _dicom_names(groups)
    cases += [Case(name, one.files, "dicom", one.parts, one.headers, one.notes) for name, one in zip(names, groups)]
    others = [link for link in dangling if link != path and not kind_by_name(link.name)]
    errors += [not_here(link) for link in dangling if link == path or kind_by_name(link.name)]
    if others:
        skipped.append(f"{others[0]}: {NOT_HERE}" + (f" (and {len(others) - 1} more such links)" if len(others) > 1 else ""))
    return cases, errors, skipped


def _dicom_names(groups: Sequence[Group]) -> list[str]:
    """Name each volume by its folder, where there are several by its series too, and number those of one series."""
    folders = [one.files[0].parent for one in groups]
    shared = Counter(folders)
    series = Counter((folder, one.short) for folder, one in zip(folders, groups))
    number: Counter[tuple[Path, str]] = Counter()
    names = []
    for folder, one in zip(folders, groups):
        name = _safe(folder.resolve().name or "scan")
        if shared[folder] > 1:
            name += f"_{_safe(one.short) if one.short else 'broken'}"
        if series[folder, one.short] > 1:
            number[folder, one.short] += 1
            width = len(str(series[folder, one.short]))  # so that names sort as the volumes do
            name += f"-{number[folder, one.short]:0{width}}"
        names.append(name)
    return names


def _files(path: Path, errors: list[ScanError], dangling: list[Path], seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files under a path, each folder once, however links lead to it; links that lead nowhere are `dangling`."""
    if path.is_file():
        yield path
        return
    if path.is_symlink() and not path.exists():
        dangling.append(path)
        return
    try:
        stat = path.stat()
        children = sorted(path.iterdir())
    except OSError as error:
        errors.append(_unreadable(path, error))
        return
    if (stat.st_dev, stat.st_ino) in seen:
        return
    seen.add((stat.st_dev, stat.st_ino))
    for child in children:
        try:
            if child.name.startswith("."):
                continue
            if child.is_dir():
                yield from _files(child, errors, dangling, seen)
            elif child.is_file():
                yield child
            elif child.is_symlink() and not child.exists():
                dangling.append(child)
        except OSError as error:
            errors.append(_unreadable(child, error))


def _unreadable(path: Path, error: OSError) -> ScanError:
    return ScanError(path, f"cannot be read ({error.strerror})", "check its permissions")


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "scan"


def unique(cases: Sequence[Case]) -> list[Case]:
    """Return cases by name: names that occur twice are prefixed by their folder, and numbered where still the same."""
    cases = sorted(cases, key=lambda case: (case.name, case.files))
    count = Counter(case.name for case in cases)
    longer = []
    for case in cases:
        folder = case.files[0].parent if case.kind != "dicom" else case.files[0].parent.parent
        name = f"{_safe(folder.resolve().name)}_{case.name}" if count[case.name] > 1 else case.name
        longer.append(replace(case, name=name))
    taken: set[str] = set()
    named = []
    for case in longer:
        numbered = (case.name if number == 1 else f"{case.name}-{number}" for number in itertools.count(1))
        name = next(name for name in numbered if name.lower() not in taken)  # file names may not tell case
        taken.add(name.lower())
        named.append(replace(case, name=name))
    return sorted(named, key=lambda case: case.name)
