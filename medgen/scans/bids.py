"""BIDS datasets (bids-specification.readthedocs.io): which of their files are taken, how what is derived from them is named."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medgen.scans.find import Case, Found, find, not_here
from medgen.scans.scan import ScanError

DESCRIPTION = "dataset_description.json"
SUFFIXES = (
    "T1w", "T2w", "PDw", "T2starw", "FLAIR", "inplaneT1", "inplaneT2", "PDT2", "angio", "UNIT1", "T1rho", "T2star", "FLASH", "PD",
)  # fmt: skip
SUFFIX_OF = {"T1": "T1w", "T2": "T2w", "FLAIR": "FLAIR"}
#: A name without its extension: subject and session, which are its folders too, other entities, suffix.
NAME = re.compile(r"(sub-[A-Za-z0-9+]+)(_ses-[A-Za-z0-9+]+)?((?:_[a-z]+-[A-Za-z0-9+]+)*)_([A-Za-z0-9]+)")
NIFTI = re.compile(r"\.nii(\.gz)?$")
DESC = re.compile(r"_desc-([A-Za-z0-9+]+)")
UNCERTAINTY = "Uncertainty"  #: ends the desc of a standard deviation map


@dataclass(frozen=True)
class Dataset:
    """A BIDS dataset, raw or derivative: its folder and its description."""

    root: Path
    about: Mapping[str, Any] = field(hash=False)

    @property
    def is_raw(self) -> bool:
        """Return whether it holds what scanners made."""
        return bool(self.about.get("DatasetType", "raw") == "raw")

    def path(self, case: Case) -> str:
        """Return the path of a case in the dataset, with slashes."""
        return case.files[0].relative_to(self.root).as_posix()

    def is_skull_stripped(self, case: Case) -> bool | None:
        """Return whether a case's skull was removed, by its sidecar; else a raw scan has it, and of others it is not known."""
        sidecar = case.files[0].with_name(f"{_stem(case.files[0])}.json")
        try:
            told = json.loads(sidecar.read_text(encoding="utf-8")).get("SkullStripped")
        except (OSError, ValueError, AttributeError):
            told = None
        return told if isinstance(told, bool) else False if self.is_raw else None


def dataset(root: Path) -> Dataset | None:
    """Return the dataset whose root a folder is, if it is one. Raises `ScanError` for a description that cannot be read."""
    path = root / DESCRIPTION
    if not path.is_file():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScanError(path, f"cannot be read ({type(error).__name__})", "mend it, or move it away if this is no BIDS dataset") from None
    return Dataset(root, about) if isinstance(about, dict) and "BIDSVersion" in about else None


def scans_in(paths: Path | Sequence[Path]) -> Found:
    """Return what `find` does, but of a BIDS dataset only its subjects' structural images: anat/, one of `SUFFIXES`.

    Its derivatives, source data, phase images and uncertainty maps are passed over, its func/, dwi/ and so on with a note.
    Raises `ScanError` for a description that cannot be read.
    """
    wanted: list[Path] = []
    errors: list[ScanError] = []
    skipped: list[str] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        one = dataset(path)
        if one is None:
            wanted.append(path)
            continue
        files, troubles, passed = _structural(one.root)
        if not files and not troubles:
            what = f"{passed[0].rpartition(': ')[2]}" if passed else "no subjects are there"
            troubles = [ScanError(path, f"is a BIDS dataset without structural images ({what})", "give one with sub-*/[ses-*/]anat/")]
        wanted, errors, skipped = [*wanted, *files], [*errors, *troubles], [*skipped, *passed]
    found = find(wanted)
    return Found(found.cases, [*errors, *found.errors], [*skipped, *found.skipped])


def derived(case: Case, *labels: str, contrast: str | None = None) -> Path:
    """Return where in a derivative a result lies, without its extension: the source's name, with a desc of these labels.

    The suffix is the source's, or that of another `contrast` that was made of it (T1, T2, FLAIR), and then the desc tells of
    what. A desc that is there begins it. The number that sets a case apart from another of its name (`sub-01_T1w-2`) goes
    into it, after the first label.
    """
    stem = _stem(case.files[0])
    parts = NAME.fullmatch(stem)
    if parts is None:
        raise ScanError(case.files[0], "has no BIDS name", "give the root of a BIDS dataset")
    described = DESC.search(parts[3])
    suffix = SUFFIX_OF.get(contrast or "", parts[4])
    source = f"from {parts[4]}" if suffix != parts[4] else ""
    told = [described[1] if described else "", labels[0] + case.name.removeprefix(stem), source, *labels[1:]]
    words = re.findall(r"[A-Za-z0-9]+", " ".join(told))
    desc = words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    folder = Path(parts[1], *([parts[2][1:]] if parts[2] else []), "anat")
    return folder / f"{parts[1]}{parts[2] or ''}{DESC.sub('', parts[3])}_desc-{desc}_{suffix}"


def source_name(name: str) -> str:
    """Return the name of what a result was derived from: the same without its desc."""
    return DESC.sub("", name) if NAME.fullmatch(name) else name


def uncertainty_name(name: str) -> str | None:
    """Return the name of the uncertainty map of a derivative's image, or None for a name without a desc."""
    return DESC.sub(rf"_desc-\1{UNCERTAINTY}", name) if NAME.fullmatch(name) and DESC.search(name) else None


def is_uncertainty(name: str) -> bool:
    """Say whether a name is that of the uncertainty map of a derivative's image."""
    parts = NAME.fullmatch(name)
    described = DESC.search(parts[3]) if parts else None
    return described is not None and described[1].endswith(UNCERTAINTY)


def is_mask_of(mask: str, image: str) -> bool:
    """Say whether a mask's name (sub-01_label-lesion_mask) is that of an image (sub-01_T1w): its entities, and more."""
    parts, entities = NAME.fullmatch(image), image.rpartition("_")[0]
    more = r"(_(space|res|den|label|desc)-[A-Za-z0-9+]+)*_(mask|roi)"
    return parts is not None and re.fullmatch(re.escape(entities) + more, mask) is not None


def _structural(root: Path) -> tuple[list[Path], list[ScanError], list[str]]:
    """Return the files to take, an error for each that should be and cannot, and a note for each kind that is left out."""
    files: list[Path] = []
    errors: list[ScanError] = []
    left: Counter[str] = Counter()
    for path in sorted((*root.glob("sub-*/*/*"), *root.glob("sub-*/ses-*/*/*"))):
        stem, kind = _stem(path), path.parent.name
        parts = NAME.fullmatch(stem)
        if not NIFTI.search(path.name) or path.name.startswith(".") or kind.startswith("ses-"):
            continue
        if kind != "anat":
            left[f"in {kind}/"] += 1
        elif parts is None or path.parent != root.joinpath(parts[1], *([parts[2][1:]] if parts[2] else []), "anat"):
            errors.append(ScanError(path, "its name is not that of its subject and session (BIDS)", "name it like its folders"))
        elif parts[4] not in SUFFIXES:
            left[f"with suffix {parts[4]}"] += 1
        elif re.search(r"_part-(?!mag(_|$))", parts[3]):
            left["of phase, real or imaginary part"] += 1
        elif is_uncertainty(stem):
            left["of uncertainty"] += 1
        elif not path.exists():
            errors.append(not_here(path))
        else:
            files.append(path)
    return files, errors, [f"{root}: {count} image(s) {what} left out" for what, count in sorted(left.items())]


def _stem(path: Path) -> str:
    return NIFTI.sub("", path.name)
