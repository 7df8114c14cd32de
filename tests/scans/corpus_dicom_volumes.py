"""Several volumes in one folder or one series: each comes out by itself, or with four_d together, or none is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from tests.scans.corpus import Entry, Truth
from tests.scans.dicom_changes import AFFINE, ORIGIN, RIGHT, SHAPE, put, renewed, various, written
from tests.scans.phantoms import ORIENTATIONS, added, dicom_affine, save_series, series

TWO = (Truth(AFFINE, SHAPE), Truth(AFFINE, SHAPE, (500.0,)))
STACKED = (Truth(AFFINE, SHAPE, (0.0, 500.0)),)
Told = Callable[[int], Any]  #: the value of slice z


def pair(first: dict[str, Any], second: dict[str, Any], **how: Any) -> list[Dataset]:
    """Return the slices of two volumes at one place, which differ in these attributes (functions are asked for slice z)."""
    one = series(**how)
    two = added(one, 500)
    for slices, values in ((one, first), (two, second)):
        for z, ds in enumerate(slices):
            put(ds, {name: value(z) if callable(value) else value for name, value in values.items()})
    return [ds for both in zip(two, one) for ds in both]


def maker(first: dict[str, Any], second: dict[str, Any], **how: Any) -> Callable[[Path], object]:
    return lambda folder: save_series(pair(first, second, **how), folder)


def private(creator: str, group: int, element: int, vr: str, value: Any) -> Callable[[Dataset], None]:
    return lambda ds: ds.private_block(group, creator, create=True).add_new(element, vr, value)


def with_private(creator: str, group: int, element: int, vr: str, one: Any, two: Any) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        slices = pair({}, {}, modality="MR")
        for k, ds in enumerate(slices):
            private(creator, group, element, vr, two if k % 2 == 0 else one)(ds)
        save_series(slices, folder)

    return make


#: Told apart, and channels of one 4D image where that is asked for.
CHANNELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "echo times": ({"EchoTime": "2.4"}, {"EchoTime": "4.9"}),
    "time points": ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
    "b-values": ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}),
    "echo numbers": ({"EchoNumbers": 1}, {"EchoNumbers": 2}),
    "inversion times": ({"InversionTime": 90}, {"InversionTime": 500}),
    "trigger times": ({"TriggerTime": lambda z: 10 + z}, {"TriggerTime": lambda z: 40 + z}),
    "acquisition numbers": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    "acquisition times": (
        {"AcquisitionTime": lambda z: f"10100{z}.5"}, {"AcquisitionTime": lambda z: f"10110{z}.5"}),
    "content times": ({"ContentTime": lambda z: f"10100{z}"}, {"ContentTime": lambda z: f"10101{z}"}),
    "frame reference times": ({"FrameReferenceTime": 1000}, {"FrameReferenceTime": 2000}),
    "flip angles": ({"FlipAngle": 5}, {"FlipAngle": 20}),
    "kernels": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
    "gradient directions": (
        {"DiffusionBValue": 700.0, "DiffusionGradientOrientation": [0.0, 0.0, 1.0]},
        {"DiffusionBValue": 700.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]}),
    "acquisition numbers and times that agree": (
        {"AcquisitionNumber": 1, "AcquisitionTime": "101000"}, {"AcquisitionNumber": 2, "AcquisitionTime": "101100"}),
}  # fmt: skip
PRIVATE = {
    "Siemens b-values": ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", "0", "1000"),
    "GE b-values": ("GEMS_PARM_01", 0x0043, 0x39, "IS", [0, 8, 0, 0], [1000, 8, 0, 0]),
    "Philips b-values": ("Philips Imaging DD 001", 0x2001, 0x03, "FL", 0.0, 1000.0),
    "UIH b-values": ("Image Private Header", 0x0065, 0x09, "FD", 0.0, 1000.0),
}
#: Told apart, and never one image.
APART: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "image types": ({"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}),
    "derived images": ({}, {"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}),
    "magnitude and phase": ({"ComplexImageComponent": "MAGNITUDE"}, {"ComplexImageComponent": "PHASE"}),
    "patients": ({}, {"PatientID": "ID-4712"}),
    "patients of one number": ({}, {"PatientName": "Other^Name"}),
    "studies": ({}, {"StudyInstanceUID": "1.2.3"}),
    "series numbers": ({}, {"SeriesNumber": 4}),
    "frames of reference": ({}, {"FrameOfReferenceUID": "1.2.3"}),
    "modalities": ({}, {"Modality": "PT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}),
}
#: Never told apart on a guess.
GUESSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "instance numbers alone": ({"InstanceNumber": lambda z: z + 1}, {"InstanceNumber": lambda z: z + 6}),
    "times that interleave": ({"AcquisitionTime": lambda z: f"1010{2 * z:02}"}, {"AcquisitionTime": lambda z: f"1010{2 * z + 1:02}"}),
    "attributes that disagree": (
        {"AcquisitionNumber": 1, "EchoNumbers": lambda z: 1 + z % 2}, {"AcquisitionNumber": 2, "EchoNumbers": lambda z: 2 - z % 2}),
    "trigger times of one slice alone": ({"TriggerTime": lambda z: 10 if z else 20}, {"TriggerTime": 10}),
}  # fmt: skip


def series_of_two_orientations(folder: Path) -> None:
    one = series()
    other = series(ORIENTATIONS["coronal"], shape=(4, 6, 4))
    renewed(other, SeriesInstanceUID=one[0].SeriesInstanceUID, StudyInstanceUID=one[0].StudyInstanceUID)
    save_series([*one, *other], folder)


def jittered(folder: Path) -> None:
    """Orientations that lie on both sides of where rounding to two decimals changes."""
    slices = series()
    for z, ds in enumerate(slices):
        ds.ImageOrientationPatient = ["1", "0", "0.00500" if z % 2 else "0.00499", "0", "1", "0"]
    save_series(slices, folder)


def beside(**values: Any) -> Callable[[Path], object]:
    """Put a single image with these values beside a series."""

    def make(folder: Path) -> None:
        slices = series()
        extra = added(slices[:1], 500)
        put(extra[0], values)
        save_series(slices, folder)
        save_series(extra, folder, names=["extra.dcm"])

    return make


def three_by_two(folder: Path) -> None:
    """Three inversion times by two trigger times at each place."""
    slices: list[Dataset] = []
    base = series()
    for k, amount in enumerate(range(0, 600, 100)):
        slices += added(base, amount, InversionTime=100 * (k // 2), TriggerTime=30 * (k % 2))
    save_series(slices, folder)


def incomplete(folder: Path) -> None:
    """The second volume lacks a slice."""
    save_series(pair({}, {})[2:-2] + pair({}, {})[:1], folder)


def shorter(folder: Path) -> None:
    slices = series()
    save_series([*added(slices, 0, TemporalPositionIdentifier=1), *added(slices[:4], 500, TemporalPositionIdentifier=2)], folder)


SIX = tuple(Truth(AFFINE, SHAPE, (float(amount),)) for amount in range(0, 600, 100))
ENTRIES: dict[str, Entry] = {
    **{name: Entry(maker(*values), TWO) for name, values in (CHANNELS | APART).items()},
    **{f"{name}, 4D": Entry(maker(*values), STACKED, four_d=True) for name, values in CHANNELS.items()},
    **{f"{name}, never 4D": Entry(maker(*values), TWO, four_d=True) for name, values in APART.items()},
    **{name: Entry(with_private(*what), TWO) for name, what in PRIVATE.items()},
    **{f"told apart by {name}": Entry(maker(*values), refused="two slices at one position") for name, values in GUESSES.items()},
    "echo times that jitter": Entry(
        written(various(EchoTime=lambda z: ["2.46", "2.4600001"][z % 2])), RIGHT),
    "two orientations of one series": Entry(
        series_of_two_orientations, (*RIGHT, Truth(dicom_affine(ORIENTATIONS["coronal"], (2.0, 1.0), 3.0, ORIGIN), (4, 6, 4)))),
    "three inversion by two trigger times": Entry(three_by_two, SIX),
    "three inversion by two trigger times, 4D": Entry(
        three_by_two, (Truth(AFFINE, SHAPE, tuple(float(a) for a in range(0, 600, 100))),), four_d=True),
    "a volume that is shorter": Entry(shorter, (Truth(AFFINE, SHAPE), Truth(AFFINE, (4, 6, 4), (500.0,)))),
    "a volume that is shorter, 4D": Entry(shorter, (Truth(AFFINE, SHAPE), Truth(AFFINE, (4, 6, 4), (500.0,))), four_d=True),
    "a localizer beside": Entry(beside(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), RIGHT),
    "a secondary capture beside": Entry(beside(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT"), RIGHT),
    "a secondary capture in colour beside": Entry(
        beside(SOPClassUID=SecondaryCaptureImageStorage, PhotometricInterpretation="RGB", SamplesPerPixel=3), RIGHT),
    "a structured report beside": Entry(
        beside(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", Rows="absent", Columns="absent", PixelData="absent"), RIGHT),
    "a presentation state beside": Entry(
        beside(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1", Modality="PR", Rows="absent", Columns="absent", PixelData="absent"), RIGHT),
    "a segmentation beside": Entry(beside(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG", NumberOfFrames=3), RIGHT),
    "a dose beside": Entry(beside(SOPClassUID="1.2.840.10008.5.1.4.1.1.481.2", Modality="RTDOSE", NumberOfFrames=3), RIGHT),
    "an encapsulated PDF beside": Entry(
        beside(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", Rows="absent", Columns="absent", PixelData="absent"), RIGHT),
    "two series": Entry(
        lambda folder: save_series([*series(), *added(renewed(series(), SeriesInstanceUID=generate_uid()), 500)], folder), TWO),
}  # fmt: skip
