"""Strict assembly of one DICOM series, of single-frame, multi-frame or mosaic images, into a volume."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor

from medgen.scans.dicom_frames import Frame, frames_of
from medgen.scans.dicom_geometry import geometry
from medgen.scans.dicom_header import Instance, modality_of, open_instance, text, whole
from medgen.scans.dicom_headers import headers, with_missing
from medgen.scans.dicom_parsing import parsing, silent
from medgen.scans.dicom_pixels import BOMB, RATIO, check_kind, declared, pixels
from medgen.scans.dicom_rescale import Convert, check_alike, converters
from medgen.scans.dicom_volumes import APART, series, volumes
from medgen.scans.scan import Reading, Scan, ScanError

PARTS = "give one volume a folder"
BEHIND = 1 << 23  #: bytes of files that wait for their hash


def read_series(
    files: Sequence[Path],
    reading: Reading | None = None,
    parts: Mapping[Path, Sequence[int]] | None = None,
    known: Iterable[Instance] = (),
) -> Scan:
    """Read the frames of one series into a volume, sorted along their normal by ImagePositionPatient alone.

    CT comes in HU (rescale of each slice, PS3.3 C.11.1), other modalities after rescale where there is one. With
    `reading.four_d`, several volumes of the series become channels, in the order of time, b-value and echo; with
    `reading.repair`, slices that are missing between others are empty.

    Args:
        files: of the series, all of its frames unless `parts` says which.
        parts: by file, the frames (from 0) that belong to the volume.
        known: headers that were parsed already.

    Raises `ScanError` wherever the volume would be a guess: a slice missing or twice, uneven spacing, tilt, geometry
    missing, unequal or no number, frames without a place, colours, inverted grey, or a CT without rescale.
    """
    reading = reading or Reading()
    parsed = {instance.path: instance for instance in known}
    with parsing():
        instances = _without_copies([_header(path, parsed.get(path)) for path in files], reading)
        frames: list[Frame] = []
        for instance in instances:
            check_kind(instance, reading)
            own = frames_of(instance)
            frames += own if parts is None else [own[i] for i in parts.get(instance.path, range(len(own)))]
    with silent():
        return _assemble(files, frames, reading)


def _header(path: Path, known: Instance | None) -> Instance:
    instance = known if known and known.unchanged() else open_instance(path)
    if instance.offset >= instance.stamp[0] and not text(instance, "Rows"):
        raise ScanError(path, "is not a readable DICOM image (it may be cut short)", "copy or export it again")
    return instance


def _without_copies(instances: Sequence[Instance], reading: Reading) -> list[Instance]:
    """Drop files that are copies of others; refuse different files that call themselves the same instance."""
    first: dict[str, Instance] = {}
    kept = []
    for instance in instances:
        uid = text(instance, "SOPInstanceUID") or str(instance.path)
        twin = first.setdefault(uid, instance)
        if twin is instance:
            kept.append(instance)
        elif twin.stamp[0] == instance.stamp[0] and _bytes(twin.path) == _bytes(instance.path):
            reading.note("a file is there twice: the copy is left out")
        else:
            raise ScanError(instance.path, "has the SOPInstanceUID of another file, but other content", "leave one of them out")
    return kept


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScanError(path, f"cannot be read ({error.strerror})", "check its permissions") from None


def _assemble(files: Sequence[Path], frames: list[Frame], reading: Reading) -> Scan:
    folder = files[0].parent
    _check_one_series(frames)
    stacks = volumes(frames)
    if len(stacks) > 1 and not reading.four_d:
        reason = f"holds {len(stacks)} volumes (of other time, echo, b-value or stack)"
        raise ScanError(folder, reason, f"{PARTS}, name one of them, or read it as 4D")
    places: list[tuple[Frame, tuple[int, int]]] = []
    affine = np.eye(4)
    for t, stack in enumerate(stacks):
        order, indices, own = geometry(folder, stack, reading.repair and len(stacks) == 1)
        if t and (len(stack) != len(stacks[0]) or np.abs(own - affine).max() > 1e-3):
            raise ScanError(folder, "its volumes lie on different grids", PARTS)
        affine = own if not t else affine
        places += [(stack[i], (t, int(z))) for i, z in zip(order, indices)]
    ordered = [frame for frame, _ in places]
    held = [z for _, (_, z) in places]
    missing = tuple(sorted(set(range(held[-1] + 1)) - set(held)))
    convert, units = converters(ordered, reading)
    for stack in stacks:
        check_alike(stack, reading)
    _check_concatenation(ordered)
    _check_bomb(folder, ordered)
    rows, columns = ordered[0].size
    volume = np.empty((len(stacks), held[-1] + 1, rows, columns), dtype=np.float32)
    filled = _fill(files, volume, places, convert, reading)
    _note(ordered, reading)
    whole_numbers, low, high, digest = filled
    if not np.isfinite([low, high]).all():
        raise ScanError(folder, "holds NaN or infinite values", "replace them by numbers first")
    if missing:
        volume[:, missing] = low
        reading.note(f"no file holds its slice(s) {', '.join(map(str, missing))}, counted from 0: they are left to be filled")
    if units == "HU" and low >= 0:
        reading.note("is a CT without any value below 0 HU: air is not -1000, so its values may not be HU")
    return Scan(
        image=MetaTensor(torch.from_numpy(volume).permute(0, 3, 2, 1), affine=torch.from_numpy(affine)),
        units=units,
        modality=modality_of(ordered[0].instance),
        dtype=np.dtype(np.int16 if whole_numbers and -32768 <= low and high <= 32767 else np.float32),
        source=files[0] if len(files) == 1 else folder,
        sha256=digest,
        slices=with_missing(headers(ordered), held) if missing else headers(ordered),
        warnings=tuple(reading.warnings),
        missing=missing,
    )


def _check_one_series(frames: Sequence[Frame]) -> None:
    apart = sorted(series(frames), key=len)
    if len(apart) < 2:
        return
    odd, other = apart[0][0], apart[-1][0]
    what = next((word for word in APART if odd.text(word) != other.text(word)), "orientation")
    what = {"FrameOfReferenceUID": "their frame of reference"}.get(what, what)
    raise ScanError(odd.instance.path, f"its slices differ in {'size' if odd.size != other.size else what}", PARTS)


def _check_concatenation(frames: Sequence[Frame]) -> None:
    total = max(int(frame.text("InConcatenationTotalNumber") or 0) for frame in frames)
    if total > len({frame.instance.path for frame in frames}):
        raise ScanError(frames[0].instance.path, f"is one of {total} parts of an object, not all of which are there", "give all")


def _check_bomb(folder: Path, frames: Sequence[Frame]) -> None:
    """Refuse, before any memory is taken, a series that declares far more pixels than its files can hold."""
    instances = {frame.instance.path: frame.instance for frame in frames}.values()
    says, holds = sum(map(declared, instances)), sum(instance.stamp[0] for instance in instances)
    if says > max(BOMB, RATIO * holds):
        reason = f"declares {says >> 20} MB of pixels but holds {holds >> 10} kB"
        raise ScanError(folder, reason, "its headers are wrong; export it again")


def _fill(
    files: Sequence[Path],
    volume: np.ndarray,
    places: Sequence[tuple[Frame, tuple[int, int]]],
    convert: Sequence[Convert],
    reading: Reading,
) -> tuple[bool, float, float, str]:
    """Decode each frame into its place, a file at a time. Return whether all are whole numbers, the range, and the hash."""
    digest = hashlib.sha256()
    todo: dict[Path, list[tuple[Frame, tuple[int, int], Convert]]] = defaultdict(list)
    for (frame, place), how in zip(places, convert):
        todo[frame.instance.path].append((frame, place, how))
    are_whole, low, high = True, np.float32(np.inf), np.float32(-np.inf)
    for path, stored in _contents(files, digest):
        wanted = sorted(todo.get(path, ()), key=lambda item: item[0].index)
        if not wanted:
            continue
        indices = list(dict.fromkeys(frame.index for frame, _, _ in wanted))
        arrays = pixels(wanted[0][0].instance, stored, indices, reading)
        array, at = next(arrays), indices[0]
        for frame, place, how in wanted:
            if frame.index != at:
                array, at = next(arrays), frame.index
            tile = frame.tile
            part = array if tile is None else array[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]
            out = volume[place]
            how.into(part, out)
            low, high = np.minimum(low, out.min()), np.maximum(high, out.max())  # which keep NaN
            exact = how.whole and part.dtype.kind in "iu"
            are_whole = are_whole and (exact or bool(np.array_equal(out, np.rint(out))))
    return are_whole, float(low), float(high), digest.hexdigest()


def _contents(files: Sequence[Path], digest: hashlib._Hash) -> Iterator[tuple[Path, bytes]]:
    """Yield the content of each file, hashed in a thread meanwhile, which takes as long as decoding.

    The thread may fall behind by `BEHIND` bytes: with less, the two would wait for each other at every file.
    """
    with ThreadPoolExecutor(1) as hasher:
        hashed: deque[tuple[Future[None], int]] = deque()
        behind = 0
        for path in files:
            stored = _bytes(path)
            behind += len(stored)
            while hashed and (behind > BEHIND or hashed[0][0].done()):
                first, size = hashed.popleft()
                first.result()
                behind -= size
            hashed.append((hasher.submit(digest.update, stored), len(stored)))
            yield path, stored


def _note(frames: Sequence[Frame], reading: Reading) -> None:
    """Note what the headers say of the values and what is not done to them."""
    notes: dict[str, Callable[[Frame], bool]] = {
        "pixels of PixelPaddingValue are kept as stored": lambda f: f.instance.has("PixelPaddingValue"),
        "its real world value mapping is left alone: values are after rescale": _has_real_world_mapping,
        "32-bit numbers are rounded to float32": lambda f: whole(f.instance, "BitsAllocated") > 32
        or (whole(f.instance, "BitsAllocated") == 32 and f.instance.has("BitsStored")),
    }
    for note, applies in notes.items():
        if any(applies(frame) for frame in frames):
            reading.note(note)


def _has_real_world_mapping(frame: Frame) -> bool:
    instance, ds = frame.instance, frame.instance.ds
    if instance.has("RealWorldValueMappingSequence"):
        return True
    if not (instance.has("SharedFunctionalGroupsSequence") or instance.has("PerFrameFunctionalGroupsSequence")):
        return False
    groups = ds.get("SharedFunctionalGroupsSequence") or ds.get("PerFrameFunctionalGroupsSequence") or []
    return bool(groups) and "RealWorldValueMappingSequence" in groups[0]
