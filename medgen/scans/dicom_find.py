"""From DICOM files to volumes: which belong together, and which are no volume and are passed over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medgen.scans.dicom_frames import Frame, frames_of
from medgen.scans.dicom_header import Instance, modality_of, open_instance, text, words
from medgen.scans.dicom_parsing import parsing
from medgen.scans.dicom_strays import strays
from medgen.scans.dicom_volumes import Volume, series, stackable, volumes
from medgen.scans.scan import ScanError

#: What is no volume to read, by modality or by the name of its storage class.
PASSED = {
    "SEG": "a segmentation", "SR": "a structured report", "PR": "a presentation state", "KO": "a key object selection",
    "RTSTRUCT": "a structure set", "RTPLAN": "a treatment plan", "RTDOSE": "a dose", "REG": "a registration",
}  # fmt: skip
CLASSES = {
    "Segmentation": "a segmentation", " SR ": "a structured report", "Presentation State": "a presentation state",
    "Encapsulated": "an encapsulated document", "RT Dose": "a dose", "Media Storage Directory": "a DICOMDIR",
    "Waveform": "a waveform", "Raw Data": "raw data", "Spectroscopy": "a spectrum",
}  # fmt: skip
KEEP = 4000  #: so many headers are kept for reading; of more, each is parsed again


@dataclass
class Group:
    """What will be a case: its files, which of their frames (None: all), and their headers."""

    files: tuple[Path, ...]
    short: str  #: modality and series number
    parts: Mapping[Path, tuple[int, ...]] | None = None
    headers: tuple[Instance, ...] = ()
    notes: tuple[str, ...] = ()  #: what reading is to warn of


def group(files: Sequence[Path], four_d: bool) -> tuple[list[Group], list[str]]:
    """Return the volumes (with `four_d`, the 4D images) that DICOM files hold, in a stable order, and what is passed over.

    A broken file is a group of its own, so that it is an error when it is read.
    """
    broken: list[Group] = []
    skipped: list[str] = []
    frames: list[Frame] = []
    with parsing():
        for path in files:
            try:
                instance = open_instance(path)
                reason = _no_volume(instance)
                if reason:
                    skipped.append(f"{path}: is {reason}")
                else:
                    frames += frames_of(instance)
            except ScanError:
                broken.append(Group((path,), ""))
        found = []
        while frames:
            try:
                frames = _without_captures(frames, skipped)
                found = _groups(frames, four_d)
                break
            except ScanError as error:  # a value that only now was asked for
                broken.append(Group((Path(error.path),), ""))
                frames = [frame for frame in frames if str(frame.instance.path) != error.path]
    unread = Counter(one.files[0].parent for one in broken)
    for one in found:
        if unread[one.files[0].parent]:
            one.notes += ("may lack slices: a DICOM file beside it cannot be read",)
    found.sort(key=lambda one: (one.files[0].parent, one.short))
    if len(files) > KEEP:
        for one in found:
            one.headers = ()
    return [*found, *broken], skipped


def _groups(frames: Sequence[Frame], four_d: bool) -> list[Group]:
    """Return the volumes, or 4D images, of some series."""
    stacks: list[Volume] = []
    for same in series(frames):
        own = volumes(same)
        stacks += [[frame for stack in own for frame in stack]] if four_d and stackable(own) else own
    groups = []
    for stack, note in zip(stacks, strays(stacks)):
        parts: dict[Path, list[int]] = defaultdict(list)
        headers: dict[Path, Instance] = {}
        for frame in stack:
            parts[frame.instance.path].append(frame.tile.number if frame.tile else frame.index)
            headers[frame.instance.path] = frame.instance
        files = tuple(sorted(parts))
        first = headers[files[0]]
        number = text(first, "SeriesNumber")
        short = modality_of(first) + (number if number.isdecimal() else "")
        every = not any(frame.many for frame in stack)
        chosen = None if every else {path: tuple(sorted(numbers)) for path, numbers in parts.items()}
        groups.append(Group(files, short, chosen, tuple(headers[path] for path in files), (note,) if note else ()))
    return groups


def _no_volume(instance: Instance) -> str:
    """Return what a file is, where it is no volume nor a part of one; "" for an image. Raises `ScanError` for a broken one."""
    name = instance.storage
    modality = text(instance, "Modality")
    if modality in PASSED:
        return PASSED[modality]
    for word, what in CLASSES.items():
        if word in name:
            return what
    if "LOCALIZER" in words(instance, "ImageType"):
        return "a localizer"
    if not text(instance, "Rows"):
        if not name or "Image Storage" in name or not text(instance, "SeriesInstanceUID"):  # so are the classes with pixels called
            raise ScanError(instance.path, "is not a readable DICOM image", "copy or export it again")
        return f"a DICOM object without pixels ({name.removesuffix(' Storage')})"
    return ""


def _without_captures(frames: Sequence[Frame], skipped: list[str]) -> list[Frame]:
    """Pass over secondary captures (screen shots, dose reports) that have no place, or lie in a study of other images."""
    captures = ["Secondary Capture" in frame.instance.storage for frame in frames]
    if not any(captures):
        return list(frames)
    studies = {frame.text("StudyInstanceUID") for frame, capture in zip(frames, captures) if not capture}
    kept = []
    for frame, capture in zip(frames, captures):
        if capture and (not frame.text("ImagePositionPatient") or frame.text("StudyInstanceUID") in studies):
            skipped.append(f"{frame.instance.path}: is a secondary capture")
        else:
            kept.append(frame)
    return kept
