"""Which frames make one volume: those of one series that differ in nothing but their place."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from medgen.scans.dicom_frames import Frame
from medgen.scans.dicom_geometry import normal

#: Frames that differ in one of these are never of one volume, nor of one 4D image.
APART = (
    "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "PatientID", "PatientName", "PatientBirthDate", "Modality",
    "SOPClassUID", "FrameOfReferenceUID", "ImageType", "FrameType", "ComplexImageComponent", "PhotometricInterpretation",
)  # fmt: skip
#: Frames that differ in one of these are of different volumes, which may be one 4D image; the first that is there counts.
CONTRAST = (
    ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    ("DiffusionBValue",),
    ("EchoTime", "EffectiveEchoTime"),
    ("StackID",),
)
#: What may tell volumes apart whose slices lie at the same places; of such attributes many vary inside a volume too.
CANDIDATES = (
    "Dimensions", "EchoNumbers", "InversionTime", "InversionTimes", "TriggerTime", "NominalCardiacTriggerDelayTime",
    "TemporalPositionTimeOffset", "FlipAngle", "RepetitionTime", "KVP", "DiffusionGradientOrientation",
    "DiffusionDirectionality", "FrameReferenceTime", "AcquisitionNumber", "FrameAcquisitionNumber", "AcquisitionDateTime",
    "FrameAcquisitionDateTime", "FrameReferenceDateTime", "AcquisitionTime", "ContentTime", "ConvolutionKernel",
    "SeriesDescription", "ProtocolName", "SequenceName", "SliceThickness",
)  # fmt: skip
#: The same in private elements: creator, group, element.
PRIVATE = (
    ("SIEMENS MR HEADER", 0x0019, 0x0C), ("SIEMENS MR HEADER", 0x0019, 0x0E), ("GEMS_PARM_01", 0x0043, 0x39),
    ("Philips Imaging DD 001", 0x2001, 0x03), ("Philips Imaging DD 001", 0x2001, 0x08),
    ("Philips MR Imaging DD 001", 0x2005, 0x11), ("Philips MR Imaging DD 001", 0x2005, 0xB0),
    ("Philips MR Imaging DD 001", 0x2005, 0xB1), ("Philips MR Imaging DD 001", 0x2005, 0xB2),
    ("Image Private Header", 0x0065, 0x09), ("Image Private Header", 0x0065, 0x37),
)  # fmt: skip
Volume = list[Frame]


def series(frames: Iterable[Frame]) -> list[Volume]:
    """Return the frames of each series, image type, size and orientation by themselves, in a stable order."""
    groups: dict[tuple[Hashable, ...], Volume] = defaultdict(list)
    for frame in frames:
        groups[(*(frame.text(keyword) for keyword in APART), frame.size)].append(frame)
    return [part for key in sorted(groups, key=str) for part in _by_orientation(groups[key])]


def volumes(frames: Sequence[Frame]) -> list[Volume]:
    """Return the volumes of one series in order (time, b-value, echo), as far as they can be told apart for certain.

    Where several slices lie at one place and nothing tells for certain which belong together, they stay in one volume,
    which is refused when it is read.
    """
    labels = [_number_labels(frames, names) for names in CONTRAST]
    files = _file_labels(frames)
    groups: dict[tuple[int, ...], Volume] = defaultdict(list)
    for i, frame in enumerate(frames):
        groups[(files[i], *(label[i] for label in labels))].append(frame)
    return [volume for key in sorted(groups) for volume in _split(groups[key])]


def stackable(parts: Sequence[Volume]) -> bool:
    """Say whether volumes lie at the same places, so that they can be channels of one 4D image."""
    try:
        places = [np.sort(_along(part)) for part in parts]
    except ValueError:
        return False
    return all(len(p) == len(places[0]) and np.abs(p - places[0]).max() < 0.02 for p in places)


def _by_orientation(frames: Volume) -> list[Volume]:
    """Split frames whose ImageOrientationPatient differs by more than rounding; one without stays with the first."""
    parts: list[tuple[np.ndarray, Volume]] = []
    known: dict[str, Volume] = {}  # by the words: most frames of a series tell the same ones
    for frame in frames:
        told = frame.text("ImageOrientationPatient")
        if told not in known:
            own = _orientation(frame)
            near = (part for other, part in parts if not (own.size and other.size) or np.abs(own - other).max() <= 1e-3)
            part = next(near, None)
            if part is None:
                part = []
                parts.append((own, part))
            known[told] = part
        known[told].append(frame)
    return [part for _, part in parts]


def _orientation(frame: Frame) -> np.ndarray:
    """Return six numbers, or none where there are no six finite ones."""
    try:
        own = np.array(frame.numbers("ImageOrientationPatient"))
    except ValueError:
        return np.empty(0)
    return own if own.shape == (6,) and np.isfinite(own).all() else np.empty(0)


def _number_labels(frames: Sequence[Frame], names: Sequence[str]) -> list[int]:
    """Number the values of an attribute in rising order, the same within rounding (1e-3); 0 for none."""
    values: list[float | str | None] = []
    for frame in frames:
        word = next((word for name in names if (word := frame.text(name))), None)
        try:
            values.append(None if word is None else float(word))
        except ValueError:
            values.append(word)
    numbers = sorted({value for value in values if isinstance(value, float)})
    label: dict[float | str | None, int] = {None: 0}
    last = 0
    for i, number in enumerate(numbers):
        last += not i or number - numbers[i - 1] > 1e-3 * max(1.0, abs(number))
        label[number] = last
    for word in sorted({value for value in values if isinstance(value, str)}):
        last += 1
        label[word] = last
    return [label[value] for value in values]


def _file_labels(frames: Sequence[Frame]) -> list[int]:
    """Number the multi-frame files in the order of their acquisition: frames of two are of two volumes.

    But for the parts of a concatenation (PS3.3 C.7.6.16.2.2.4), which are one file. Single frames are all 0.
    """
    keys: list[tuple[float, float, str]] = []
    for frame in frames:
        if not frame.many:
            keys.append((0, 0, ""))
            continue
        whole = frame.text("ConcatenationUID")
        numbers = []
        for keyword in ("AcquisitionNumber", "InstanceNumber"):
            word = "" if whole and keyword == "InstanceNumber" else frame.text(keyword)
            numbers.append(float(word) if word.lstrip("-").isdigit() else 0.0)
        keys.append((numbers[0], numbers[1], whole or str(frame.instance.path)))
    rank = {key: i for i, key in enumerate(sorted(set(keys)))}
    return [rank[key] for key in keys]


def _along(frames: Sequence[Frame]) -> np.ndarray:
    """Return the places of frames along their normal. Raises `ValueError` where one has none."""
    orientation = np.array(frames[0].numbers("ImageOrientationPatient"))
    positions = np.array([frame.numbers("ImagePositionPatient") for frame in frames])
    if orientation.shape != (6,) or positions.shape != (len(frames), 3):
        raise ValueError("no place")
    return positions @ normal(orientation)


def _split(frames: Volume) -> list[Volume]:
    """Split frames of which n lie at each place into n volumes, where all attributes that can do so agree how."""
    try:
        along = _along(frames)
    except ValueError:
        return [frames]
    order = np.argsort(along, kind="stable")
    place = np.empty(len(frames), dtype=int)
    place[order] = np.cumsum(np.diff(along[order], prepend=along[order[0]]) > 1e-3)
    counts = np.bincount(place)
    n = int(counts[0])
    if n == 1 or (counts != n).any():
        return [frames]
    found: dict[frozenset[frozenset[int]], list[list[int]]] = {}
    names: list[str | tuple[str, int, int]] = [*CANDIDATES, *PRIVATE]
    for name in names:
        parts = _parts([_value(frame, name) for frame in frames], place, n)
        if parts:
            found.setdefault(frozenset(frozenset(part) for part in parts), parts)
    if len(found) == 1:
        return [[frames[i] for i in part] for part in next(iter(found.values()))]
    if found:
        return [frames]  # two ways to split: neither is certain
    for name in names:  # several dimensions: by one value after the other
        values = [_value(frame, name) for frame in frames]
        kinds = sorted(set(values))
        members = [[i for i, value in enumerate(values) if value == kind] for kind in kinds]
        even = all((np.bincount(place[m], minlength=len(counts)) == n // len(kinds)).all() for m in members)
        if 1 < len(kinds) < n and even:
            parts_of = [_split([frames[i] for i in m]) for m in members]
            if all(len(part) == n // len(kinds) for part in parts_of):
                return [volume for part in parts_of for volume in part]
    return [frames]


Value = tuple[int, tuple[float, ...], str]  #: sorts: none, numbers, words


def _value(frame: Frame, name: str | tuple[str, int, int]) -> Value:
    if isinstance(name, str):
        word = "\\".join(frame.own.get(name, ())) if name == "Dimensions" else frame.text(name)
    else:
        creator, group, element = name
        try:
            word = str(frame.instance.ds.private_block(group, creator)[element].value)
        except KeyError:
            word = ""
    if not word:
        return 0, (), ""
    try:
        return 1, tuple(float(part) for part in word.strip("[]").replace(",", "\\").split("\\")), ""
    except ValueError:
        return 2, (), word


def _parts(values: Sequence[Value], place: np.ndarray, n: int) -> list[list[int]]:
    """Return n sets of indices, one of each place: the k-th values of all places, which lie before all (k+1)-th ones."""
    ranks: list[list[int]] = [[] for _ in range(n)]
    for where in range(int(place.max()) + 1):
        for rank, i in enumerate(sorted(np.flatnonzero(place == where).tolist(), key=lambda i: values[i])):
            ranks[rank].append(i)
    for before, after in itertools.pairwise(ranks):
        if max(values[i] for i in before) >= min(values[i] for i in after):
            return []
    return ranks
