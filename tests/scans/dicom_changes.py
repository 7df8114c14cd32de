"""What can be wrong or odd with a DICOM series: changes to a phantom's slices, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.scans.corpus import Truth
from tests.scans.phantoms import ORIENTATIONS, dicom_affine, save_series, series, set_pixels

Change = Callable[[list[Dataset]], Sequence[Dataset]]
Maker = Callable[[Path], object]
SHAPE, PIXEL, STEP, ORIGIN = (4, 6, 5), (2.0, 1.0), 3.0, (-12.0, 7.0, 10.0)
AFFINE = dicom_affine(ORIENTATIONS["axial"], PIXEL, STEP, ORIGIN)
RIGHT = (Truth(AFFINE, SHAPE),)


def same(slices: list[Dataset]) -> list[Dataset]:
    """Change nothing."""
    return slices


def written(
    change: Change = same, *, syntax: str = ExplicitVRLittleEndian, names: Sequence[str] | None = None, **how: Any
) -> Maker:
    """Return what writes `change(series(**how))` into a folder."""
    return lambda folder: save_series(change(series(**how)), folder, syntax, names)


def each(**values: object) -> Change:
    """Set (or with "absent", delete) these attributes in every slice."""

    def change(slices: list[Dataset]) -> list[Dataset]:
        for ds in slices:
            put(ds, values)
        return slices

    return change


def one(index: int = 2, **values: object) -> Change:
    """The same in one slice."""

    def change(slices: list[Dataset]) -> list[Dataset]:
        put(slices[index], values)
        return slices

    return change


def various(**values: Callable[[int], object]) -> Change:
    """Set each attribute of slice z to what is told for z."""

    def change(slices: list[Dataset]) -> list[Dataset]:
        for z, ds in enumerate(slices):
            put(ds, {name: told(z) for name, told in values.items()})
        return slices

    return change


def put(ds: Dataset, values: dict[str, object]) -> None:
    """Set attributes; "absent" deletes one, bytes stand in the file as they are, however wrong."""
    for name, value in values.items():
        if value == "absent":
            if name in ds:
                del ds[name]
        elif isinstance(value, bytes):
            vr = {"NumberOfFrames": "IS"}.get(name, "DS")
            ds[name] = RawDataElement(Tag(name), vr, len(value), value, 0, False, True)
        else:
            setattr(ds, name, value)


def moved(step: Callable[[int], Sequence[float]]) -> Change:
    """Put slice z at `step(z)` mm (LPS)."""
    return various(ImagePositionPatient=lambda z: list(step(z)))


def other_size(slices: list[Dataset]) -> list[Dataset]:
    """Make one slice smaller."""
    slices[2].Rows = 5
    set_pixels(slices[2], np.zeros((5, 4)))
    return slices


def short_pixels(slices: list[Dataset]) -> list[Dataset]:
    """Cut the pixels of one slice short."""
    slices[2].PixelData = slices[2].PixelData[:-10]
    return slices


def as_type(dtype: str, bits: int = 0, rescale: bool = True) -> Change:
    """Store the values as another type: u1, i1, u2, i2, u4, i4, f4 or f8, with that many bits."""

    def change(slices: list[Dataset]) -> list[Dataset]:
        for ds in slices:
            stored = np.frombuffer(ds.PixelData, "<i2").astype(float)
            values = stored * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
            kind = np.dtype(f"<{dtype}")
            slope, intercept = {1: (1.0, 0.0)}.get(kind.itemsize, (0.05, 0.0 if kind.kind == "u" else -200.0))
            slope, intercept = (1.0, 0.0) if kind.kind == "f" else (slope, intercept)
            ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
            new = (values - intercept) / slope
            new = (new if kind.kind == "f" else np.rint(new)).astype(kind)
            ds.BitsAllocated = kind.itemsize * 8
            ds.BitsStored = bits or ds.BitsAllocated
            ds.HighBit = ds.BitsStored - 1
            ds.PixelRepresentation = int(kind.kind == "i")
            if kind.kind == "f":
                del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
                setattr(ds, "FloatPixelData" if kind.itemsize == 4 else "DoubleFloatPixelData", new.tobytes())
            else:
                ds.PixelData = new.tobytes()
                ds["PixelData"].VR = "OB" if kind.itemsize == 1 else "OW"
            if not rescale:
                del ds.RescaleSlope, ds.RescaleIntercept
        return slices

    return change


def renewed(slices: Sequence[Dataset], **values: object) -> Sequence[Dataset]:
    """Give slices a series, study or patient of their own (what `values` say), and instances of their own."""
    for ds in slices:
        ds.SOPInstanceUID = generate_uid()
        put(ds, values)
    return slices


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(slices: list[Dataset]) -> Sequence[Dataset]:
        for each_of in changes:
            slices = list(each_of(slices))
        return slices

    return change
