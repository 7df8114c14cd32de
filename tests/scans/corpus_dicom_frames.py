"""Multi-frame objects, mosaics and grids."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from tests.scans.corpus import Entry, Truth
from tests.scans.corpus_dicom_volumes import STACKED, TWO
from tests.scans.dicom_changes import RIGHT, SHAPE, both, each, moved, put
from tests.scans.phantoms import ORIENTATIONS, added, dicom_affine, enhanced, field, save_series, series, set_pixels

SHUFFLED = [3, 0, 4, 1, 2]


def whole(order: Sequence[int] = range(5), *, shared: bool = False, syntax: str = "1.2.840.10008.1.2.1",
          values: dict[str, object] | None = None, **how: Any) -> Callable[[Path], object]:  # fmt: skip
    """Return what writes a phantom as one multi-frame object, frames in this order."""

    def make(folder: Path) -> None:
        slices = series(**how)
        ds = enhanced([slices[z] for z in order], shared=shared)
        put(ds, values or {})
        save_series([ds], folder, syntax)

    return make


def dimensions(ds: Dataset, *pointers: int) -> Dataset:
    ds.DimensionIndexSequence = []
    for pointer in pointers:
        item = Dataset()
        item.DimensionIndexPointer = pointer
        ds.DimensionIndexSequence.append(item)
    return ds


def two(told: Callable[[int], dict[str, dict[str, Any]]], pointers: Sequence[int] = (), **how: Any) -> Callable[[Path], object]:
    """Return what writes two volumes as one object; `told(v)` are the functional groups of volume v's frames."""

    def make(folder: Path) -> None:
        one = series(modality="MR", **how)
        slices = [ds for pair in zip(added(one, 500), one) for ds in pair]  # the second volume first at each place
        groups = {name: (lambda k, name=name: told(1 - k % 2)[name] | numbered(k // 2, told(1 - k % 2)[name])) for name in told(0)}
        save_series([dimensions(enhanced(slices, **groups), *pointers)], folder)

    return make


def numbered(z: int, values: dict[str, Any]) -> dict[str, Any]:
    """Put the place in the stack where "z" stands in DimensionIndexValues."""
    index = values.get("DimensionIndexValues")
    return {"DimensionIndexValues": [z + 1 if value == "z" else value for value in index]} if index else {}


DIFFER: dict[str, tuple[Callable[[int], dict[str, dict[str, Any]]], Sequence[int]]] = {
    "temporal positions": (lambda v: {"FrameContent": {"TemporalPositionIndex": v + 1}}, ()),
    "echoes": (lambda v: {"MREcho": {"EffectiveEchoTime": 2.0 + 3 * v}}, ()),
    "b-values": (lambda v: {"MRDiffusion": {"DiffusionBValue": 1000.0 * v}}, ()),
    "trigger delays": (lambda v: {"CardiacSynchronization": {"NominalCardiacTriggerDelayTime": 40.0 * v}}, ()),
    "dimensions": (
        lambda v: {"FrameContent": {"DimensionIndexValues": ["z", v + 1]}}, (0x00209057, 0x00189241)),
    "dimensions, stack first": (
        lambda v: {"FrameContent": {"DimensionIndexValues": [1, "z", v + 1]}}, (0x00209056, 0x00209057, 0x00209128)),
}  # fmt: skip


def several_files(folder: Path, key: str = "AcquisitionNumber") -> None:
    one = series(modality="MR")
    volumes = [enhanced(added(one, amount)) for amount in (500, 0)]
    for k, ds in enumerate(volumes):
        ds.SOPInstanceUID = generate_uid()
        setattr(ds, key, 2 - k)
    save_series(volumes, folder)


def concatenation(folder: Path, parts: int = 2) -> None:
    slices = series()
    uid = generate_uid()
    files = [enhanced(slices[:3]), enhanced(slices[3:])]
    for k, ds in enumerate(files):
        ds.SOPInstanceUID = generate_uid()
        ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = uid, k + 1, 2
    save_series(files[:parts], folder)


def two_stacks(folder: Path) -> None:
    one, other = series(), series(ORIENTATIONS["sagittal"])
    ds = enhanced([*other, *one], FrameContent=lambda k: {"StackID": "1" if k < 5 else "2", "InStackPositionNumber": k % 5 + 1})
    save_series([ds], folder)


def changed(change: Callable[[Dataset], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        ds = enhanced(series())
        change(ds)
        save_series([ds], folder)

    return make


def without(frame: int, group: str) -> Callable[[Dataset], object]:
    return lambda ds: delattr(ds.PerFrameFunctionalGroupsSequence[frame], f"{group}Sequence")


def csa(**values: list[str]) -> bytes:
    """Return a Siemens CSA header (SV10) that says this."""
    out = b"SV10\4\3\2\1" + struct.pack("<2I", len(values), 77)
    for name, words in values.items():
        out += struct.pack("<64sI4s3I", name.encode(), 1, b"FD\0\0", 0, 6, 77)
        for k in range(6):
            word = words[k].encode() + b"\0" if k < len(words) else b""
            out += struct.pack("<4I", len(word), len(word), 77, len(word)) + word.ljust((len(word) + 3) // 4 * 4, b"\0")
    return out


def tiled(affine: np.ndarray, count: int, side: int) -> np.ndarray:
    """Return the tiles (rows, columns) of a phantom of 4 columns and 6 rows."""
    values = field(affine, (4, 6, count))
    plane = np.zeros((6 * side, 4 * side))
    for k in range(count):
        row, column = k // side * 6, k % side * 4
        plane[row : row + 6, column : column + 4] = values[..., k].T
    return plane


def mosaic(folder: Path, flip: int = 1, times: int = 1, drop: str = "", **values: object) -> None:
    """Write a Siemens mosaic of 5 slices, 3 tiles by 3, slices falling along the normal where `flip` is -1."""
    orientation = ORIENTATIONS["double oblique"]
    x, y = np.array(orientation[:3]), np.array(orientation[3:])
    files = []
    for t in range(times):
        (ds,) = series(orientation, shape=(4, 6, 1), modality="MR")
        first = np.array([-12.0, 7.0, 10.0])
        affine = dicom_affine(orientation, (2.0, 1.0), 3.0 * flip, first)
        ds.ImagePositionPatient = [f"{v:.9f}" for v in first - x * (12 - 4) / 2 * 1.0 - y * (18 - 6) / 2 * 2.0]
        ds.Rows, ds.Columns, ds.SpacingBetweenSlices, ds.AcquisitionNumber = 18, 12, 3, t + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
        stored = (tiled(affine, 5, 3) + 500 * t - float(ds.RescaleIntercept)) / float(ds.RescaleSlope)
        set_pixels(ds, np.clip(stored, -32768, 32767))
        words = {"NumberOfImagesInMosaic": ["5"], "SliceNormalVector": [f"{v:.8f}" for v in np.cross(x, y) * flip]}
        words.pop(drop, None)
        ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa(**words))
        put(ds, values)
        files.append(ds)
    for ds in files[1:]:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, files[0].get(keyword))
    save_series(files, folder)


def grid(folder: Path, told: bool = True) -> None:
    """Write a UIH grid of 5 slices, 3 tiles by 2."""
    orientation = ORIENTATIONS["double oblique"]
    slices = series(orientation, modality="MR")
    (ds,) = series(orientation, shape=(4, 6, 1), modality="MR")
    affine = dicom_affine(orientation, (2.0, 1.0), 3.0, (-12.0, 7.0, 10.0))
    del ds.ImagePositionPatient
    ds.Rows, ds.Columns, ds.Manufacturer, ds.ImageType = 12, 12, "UIH", ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    set_pixels(ds, (tiled(affine, 5, 3)[:12] - float(ds.RescaleIntercept)) / float(ds.RescaleSlope))
    if told:
        block = ds.private_block(0x0065, "Image Private Header", create=True)
        block.add_new(0x04, "SH", "6*4")
        block.add_new(0x50, "DS", "5")
        items = []
        for one in slices:
            item = Dataset()
            item.ImagePositionPatient = one.ImagePositionPatient
            items.append(item)
        block.add_new(0x51, "SQ", items)
    save_series([ds], folder)


OBLIQUE = dicom_affine(ORIENTATIONS["double oblique"], (2.0, 1.0), 3.0, (-12.0, 7.0, 10.0))
FLIPPED = OBLIQUE.copy()
FLIPPED[:3, 3] -= 4 * OBLIQUE[:3, 2]
ENTRIES: dict[str, Entry] = {
    "CT": Entry(whole(), RIGHT),
    "CT, frames descending": Entry(whole(range(4, -1, -1)), RIGHT),
    "CT, frames in any order": Entry(whole(SHUFFLED), RIGHT),
    "CT, shared groups": Entry(whole(SHUFFLED, shared=True), RIGHT),
    "CT, rescale of each frame": Entry(whole(SHUFFLED, slope=lambda z: 0.01 * (z + 2), intercept=lambda z: -5.0 * z), RIGHT),
    "CT, double oblique": Entry(whole(SHUFFLED, orientation=ORIENTATIONS["double oblique"]), (Truth(OBLIQUE, SHAPE),)),
    "CT, RLE": Entry(whole(SHUFFLED, syntax=RLELossless), RIGHT),
    "CT, deflated": Entry(whole(SHUFFLED, syntax="1.2.840.10008.1.2.1.99"), RIGHT),
    "MR": Entry(whole(SHUFFLED, modality="MR"), RIGHT),
    "MR without rescale": Entry(whole(SHUFFLED, modality="MR", slope=lambda z: 0), RIGHT),
    "PET": Entry(whole(SHUFFLED, modality="PT"), RIGHT),
    "legacy converted CT": Entry(whole(SHUFFLED, values={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.2"}), RIGHT),
    "legacy converted MR": Entry(whole(SHUFFLED, modality="MR", values={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.4"}), RIGHT),
    "attributes at the root are not the frames'": Entry(
        whole(values={"ImagePositionPatient": [9, 9, 9], "PixelSpacing": [7, 7], "RescaleSlope": 3, "RescaleIntercept": 1}), RIGHT),
    **{name: Entry(two(*told), TWO) for name, told in DIFFER.items()},
    **{f"{name}, 4D": Entry(two(*told), STACKED, four_d=True) for name, told in DIFFER.items()},
    "magnitude and phase": Entry(
        two(lambda v: {"MRImageFrameType": {"ComplexImageComponent": ["MAGNITUDE", "PHASE"][v]}}), TWO, four_d=True),
    "two volumes that nothing tells apart": Entry(two(lambda v: {}), refused="two slices at one position"),
    "several files": Entry(several_files, TWO),
    "several files, 4D": Entry(several_files, STACKED, four_d=True),
    "several files by InstanceNumber, 4D": Entry(lambda f: several_files(f, "InstanceNumber"), STACKED, four_d=True),
    "concatenation": Entry(concatenation, RIGHT),
    "concatenation of which a part is missing": Entry(lambda f: concatenation(f, 1), refused="one of 2 parts"),
    "two stacks": Entry(two_stacks, (*RIGHT, Truth(dicom_affine(ORIENTATIONS["sagittal"], (2.0, 1.0), 3.0, (-12.0, 7.0, 10.0)), SHAPE))),
    "a frame missing": Entry(whole([0, 1, 3, 4]), refused=r"1 slice\(s\) missing"),
    "a frame twice": Entry(whole([0, 1, 2, 2, 3, 4]), refused="two slices at one position"),
    "one frame": Entry(whole([2]), refused="only slice"),
    "more frames than are described": Entry(changed(lambda ds: put(ds, {"NumberOfFrames": 6})), refused="of 6 frames that describes 5"),
    "a frame without position": Entry(changed(without(2, "PlanePosition")), refused="no ImagePositionPatient"),
    "no orientation": Entry(changed(lambda ds: [without(k, "PlaneOrientation")(ds) for k in range(5)]), refused="no ImageOrientation"),
    "no PixelSpacing": Entry(changed(lambda ds: [without(k, "PixelMeasures")(ds) for k in range(5)]), refused="no PixelSpacing"),
    "rescale missing in one frame": Entry(changed(without(2, "PixelValueTransformation")), refused="no rescale"),
    "pixels cut short": Entry(changed(lambda ds: put(ds, {"PixelData": ds.PixelData[:-48]})), refused="differ|cut short|no pixels"),
    "empty groups": Entry(
        changed(lambda ds: put(ds, {"PerFrameFunctionalGroupsSequence": [Dataset() for _ in range(5)]})), refused="no Image"),
    "uneven frames": Entry(
        lambda f: save_series([enhanced(moved(lambda z: (0, 0, (0, 3, 6.4, 9, 12)[z]))(series()))], f), refused="unevenly spaced"),
    "plain multi-frame": Entry(changed(lambda ds: put(ds, {"PerFrameFunctionalGroupsSequence": "absent"})), refused="plain multi-frame"),
    "nuclear medicine": Entry(
        changed(lambda ds: put(ds, {"PerFrameFunctionalGroupsSequence": "absent", "Modality": "NM"})), refused=r"\(NM\) multi-frame"),
    "enhanced MONOCHROME1": Entry(
        changed(lambda ds: put(ds, {"PhotometricInterpretation": "MONOCHROME1"})), refused="MONOCHROME1", permissive=RIGHT),
    "Siemens mosaic": Entry(mosaic, (Truth(OBLIQUE, SHAPE),)),
    "Siemens mosaic, slices falling": Entry(lambda f: mosaic(f, -1), (Truth(FLIPPED, SHAPE),)),
    "Siemens mosaics": Entry(lambda f: mosaic(f, times=2), (Truth(OBLIQUE, SHAPE), Truth(OBLIQUE, SHAPE, (500.0,)))),
    "Siemens mosaics, 4D": Entry(lambda f: mosaic(f, times=2), (Truth(OBLIQUE, SHAPE, (0.0, 500.0)),), four_d=True),
    "Siemens mosaic without a normal": Entry(lambda f: mosaic(f, drop="SliceNormalVector"), refused="mosaic that does not say"),
    "Siemens mosaic without a number": Entry(lambda f: mosaic(f, drop="NumberOfImagesInMosaic"), refused="mosaic that does not say"),
    "Siemens mosaic without a spacing": Entry(lambda f: mosaic(f, SpacingBetweenSlices="absent"), refused="mosaic that does not say"),
    "UIH grid": Entry(grid, (Truth(OBLIQUE, SHAPE),)),
    "UIH grid without places": Entry(lambda f: grid(f, told=False), refused="UIH grid that does not say"),
    "several changes": Entry(lambda f: save_series(both(each(InstanceNumber=1))(series()), f), RIGHT),
}  # fmt: skip
