"""Awkward DICOM series of single-frame images: geometry, values, encodings, and what is broken. Mixtures and multi-frame
objects are in `corpus_dicom_volumes`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.scans import corpus_dicom_broken, corpus_dicom_frames, corpus_dicom_volumes
from tests.scans.corpus import Entry, Truth
from tests.scans.dicom_changes import (
    AFFINE,
    ORIGIN,
    PIXEL,
    RIGHT,
    SHAPE,
    Change,
    as_type,
    both,
    each,
    moved,
    one,
    other_size,
    same,
    short_pixels,
    various,
    written,
)
from tests.scans.phantoms import ORIENTATIONS, added, dicom_affine, save_series, series, set_pixels, turned

TURNED = [*turned(x=3)[:, 0], *turned(x=3)[:, 1]]


def big_endian(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
    return slices


def lookup_table(slices: list[Dataset]) -> list[Dataset]:
    """Move the values, which are whole, into a table, and store their places in it, from 7."""
    for ds in slices:
        values = np.rint(np.frombuffer(ds.PixelData, "<i2") * float(ds.RescaleSlope) + float(ds.RescaleIntercept))
        table, index = np.unique(values, return_inverse=True)
        item = Dataset()
        item.LUTDescriptor, item.ModalityLUTType, item.LUTData = [len(table), 7, 16], "US", table.astype("<u2").tobytes()
        item["LUTData"].VR = "OW"
        ds.ModalityLUTSequence = [item]
        ds.PixelRepresentation, ds.Modality = 0, "MR"
        set_pixels(ds, index.reshape(ds.Rows, ds.Columns) + 7)
        del ds.RescaleSlope, ds.RescaleIntercept
    return slices


def overlay(slices: list[Dataset]) -> list[Dataset]:
    """Put an overlay into the 4 bits above the 12 stored ones."""
    for ds in slices:
        ds.add_new((0x6000, 0x0010), "US", ds.Rows)
        ds.add_new((0x6000, 0x0011), "US", ds.Columns)
        ds.add_new((0x6000, 0x0100), "US", 16)
        ds.add_new((0x6000, 0x0102), "US", 15)
        above_the_bits(1 << 15)([ds])
    return slices


def above_the_bits(what: int) -> Change:
    def change(slices: list[Dataset]) -> list[Dataset]:
        for ds in slices:
            stored = np.frombuffer(ds.PixelData, "<u2").copy()
            stored[::2] |= what
            ds.PixelData = stored.tobytes()
        return slices

    return change


def unsigned_bits(slices: list[Dataset]) -> list[Dataset]:
    """Clear the upper bits of negative 12-bit numbers, as some writers do."""
    for ds in slices:
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") & 0xFFF).astype("<u2").tobytes()
        ds.BitsStored, ds.HighBit = 12, 11
    return slices


def rgb(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.PixelData *= 3
    return slices


def float_nan(slices: list[Dataset]) -> list[Dataset]:
    for ds in as_type("f4")(slices):
        ds.FloatPixelData = np.full((6, 4), np.nan, "<f4").tobytes()
    return slices


def real_world(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        item = Dataset()
        item.RealWorldValueSlope, item.RealWorldValueIntercept = 7.0, 1.0
        ds.RealWorldValueMappingSequence = [item]
    return slices


def right(change: Change, truth: tuple[Truth, ...] = RIGHT, warns: str = "", **how: object) -> Entry:
    return Entry(written(change, **how), truth, warns=warns)


def copied(folder: Path) -> None:
    files = save_series(series(), folder)
    (folder / "again.dcm").write_bytes(files[3].read_bytes())


def same_uid(slices: list[Dataset]) -> list[Dataset]:
    slices[3].SOPInstanceUID = slices[2].SOPInstanceUID
    return slices


def geometry() -> dict[str, Entry]:
    found = {
        name: Entry(written(orientation=value, shape=(7, 5, 4), pixel=(0.7, 1.3), step=2.4),
                    (Truth(dicom_affine(value, (0.7, 1.3), 2.4, ORIGIN), (7, 5, 4)),))
        for name, value in ORIENTATIONS.items()
    }  # fmt: skip
    numbers = {"shuffled": [3, 1, 5, 2, 4], "descending": [5, 4, 3, 2, 1], "equal": [1] * 5, "empty": [None] * 5, "missing": ["absent"] * 5}
    for name, values in numbers.items():
        found[f"InstanceNumber {name}"] = right(various(InstanceNumber=values.__getitem__))
    bent, crooked = [10, 13.01, 15.99, 19, 22], [10.0, 12.0, 14.1, 16.1, 18.2]
    coarse = dicom_affine(ORIENTATIONS["axial"], PIXEL, 2.05, ORIGIN)
    found |= {
        "names that mean nothing": right(lambda s: s, names=["q", "10", "2", "1.dcm.bak", "Z Z"]),
        "files in descending order": right(lambda s: s[::-1]),
        "positions rounded to 0.01 mm": right(moved(lambda z: (-12, 7, bent[z]))),
        "positions rounded to 0.1 mm": right(
            moved(lambda z: (-12, 7, crooked[z])), (Truth(coarse, SHAPE, tolerance=0.25),), step=2.05),
        "positions with exponents": right(various(ImagePositionPatient=lambda z: f"-1.2E+1\\7.0 \\ {10 + 3 * z}".encode())),
        "ImagerPixelSpacing differs": right(each(ImagerPixelSpacing=[9, 9])),
        "SliceThickness and SpacingBetweenSlices lie": right(each(SliceThickness=9, SpacingBetweenSlices=8)),
        "SliceLocation lies": right(various(SliceLocation=lambda z: -z)),
        "a copy of a file": Entry(copied, RIGHT, warns="twice"),
        "two slices": right(lambda s: s[:2], (Truth(AFFINE, (4, 6, 2)),)),
    }
    return found


REFUSED: dict[str, tuple[Change, str]] = {
    "missing slice": (lambda s: s[:2] + s[3:], r"1 slice\(s\) missing"),
    "two missing slices": (lambda s: [ds for z, ds in enumerate(series(shape=(4, 6, 9))) if z not in (3, 6)], r"2 slice\(s\) missing"),
    "uneven spacing": (moved(lambda z: (0, 0, (0, 3, 6.4, 9, 12)[z])), "unevenly spaced"),
    "spacing that grows": (moved(lambda z: (0, 0, 3 * z + 0.2 * z * z)), "unevenly spaced"),
    "duplicate position": (moved(lambda z: (0, 0, 3 * min(z, 3))), "two slices at one position"),
    "duplicate position, same pixels": (lambda s: [*s, *added(s[4:], 0)], "two slices at one position"),
    "same instance, other content": (same_uid, "SOPInstanceUID of another file"),
    "gantry tilt": (moved(lambda z: (0, 0.5 * z, 3 * z)), "gantry tilt"),
    "small gantry tilt": (moved(lambda z: (0, 0.03 * z, 3 * z)), "gantry tilt"),
    "single slice": (lambda s: s[:1], "only slice"),
    "no position": (each(ImagePositionPatient="absent"), "no ImagePositionPatient"),
    "empty position": (one(ImagePositionPatient=None), "no ImagePositionPatient"),
    "position without z": (one(ImagePositionPatient=[0, 1]), "no ImagePositionPatient"),
    "position not a number": (one(ImagePositionPatient=b"0\\nan\\6 "), "ImagePositionPatient is not a number"),
    "no orientation": (each(ImageOrientationPatient="absent"), "no ImageOrientationPatient"),
    "no orientation in one": (one(ImageOrientationPatient="absent"), "no ImageOrientationPatient"),
    "empty orientation": (each(ImageOrientationPatient=None), "no ImageOrientationPatient"),
    "orientation not a number": (one(ImageOrientationPatient=b"nan\\0\\0\\0\\1\\0 "), "Patient is not a number"),
    "no PixelSpacing": (each(PixelSpacing="absent"), "no PixelSpacing"),
    "only ImagerPixelSpacing": (each(PixelSpacing="absent", ImagerPixelSpacing=[2, 1]), "no PixelSpacing"),
    "empty PixelSpacing": (each(PixelSpacing=None), "no PixelSpacing"),
    "one PixelSpacing": (each(PixelSpacing=b"1 "), "no PixelSpacing"),
    "zero PixelSpacing": (each(PixelSpacing=[0, 1]), "not above zero"),
    "negative PixelSpacing": (each(PixelSpacing=[1, -1]), "not above zero"),
    "PixelSpacing of words": (each(PixelSpacing=b"wide\\1"), "PixelSpacing is not a number"),
    "non-orthogonal orientation": (each(ImageOrientationPatient=[1, 0, 0, 0.2, 1, 0]), "not orthonormal"),
    "non-unit orientation": (each(ImageOrientationPatient=[2, 0, 0, 0, 2, 0]), "not orthonormal"),
    "zero orientation": (each(ImageOrientationPatient=[0] * 6), "not orthonormal"),
    "other size": (other_size, "only slice|missing"),
    "other orientation": (one(ImageOrientationPatient=TURNED), "only slice|missing"),
    "other spacing": (one(PixelSpacing=[2, 1.1]), "differ in PixelSpacing"),
    "other frame of reference": (one(FrameOfReferenceUID=generate_uid()), "only slice|missing"),
    "no Columns": (one(Columns="absent"), "no Rows or Columns"),
    "frames of words": (each(NumberOfFrames=b"many"), "NumberOfFrames is not a whole number"),
    "RGB": (rgb, "RGB"),
    "PALETTE": (each(PhotometricInterpretation="PALETTE COLOR"), "PALETTE COLOR"),
    "no photometric": (each(PhotometricInterpretation="absent"), "of unknown kind"),
    "modality LUT and rescale": (lambda s: with_rescale(lookup_table(s)), "modality lookup table"),
    "slope without intercept": (each(Modality="MR", RescaleIntercept="absent"), "no complete rescale"),
    "empty slope": (one(RescaleSlope=None), "no complete rescale"),
    "zero slope": (one(RescaleSlope=0), "rescale is zero"),
    "slope not a number": (one(RescaleSlope=b"nan "), "rescale is zero or not a number"),
    "rescale missing on one CT slice": (one(RescaleSlope="absent", RescaleIntercept="absent"), "no rescale"),
    "rescale missing on one MR slice": (
        both(each(Modality="MR"), one(4, RescaleSlope="absent", RescaleIntercept="absent")), "no rescale"),
    "RescaleType differs": (one(RescaleType="US"), "differ in RescaleType"),
    "PET units differ": (both(each(Modality="PT", Units="BQML"), one(Units="CNTS")), "differ in Units"),
    "NaN pixels": (float_nan, "NaN"),
    "no pixels": (each(PixelData="absent"), "no pixels"),
    "short pixels": (short_pixels, "cut short"),
    "too many pixels": (lambda s: [*s[:-1], longer(s[-1])], "more than its header says"),
    "HighBit is not BitsStored - 1": (each(BitsStored=12), "do not fit together"),
    "BitsStored above BitsAllocated": (each(BitsStored=17, HighBit=16), "do not fit together"),
    "12 bits allocated": (each(BitsAllocated=12, BitsStored=12, HighBit=11), "12 bits allocated"),
    "no PixelRepresentation": (each(PixelRepresentation="absent"), "no PixelRepresentation"),
}  # fmt: skip


def longer(ds: Dataset) -> Dataset:
    ds.PixelData += bytes(48)
    return ds


def with_rescale(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    return slices


def values() -> dict[str, Entry]:
    coarse = (Truth(AFFINE, SHAPE, tolerance=0.51),)
    twelve = {"signed": False, "slope": lambda z: 0.1, "intercept": lambda z: 0.0}
    bare = each(RescaleSlope="absent", RescaleIntercept="absent")
    return {
        "rescale of each slice": right(each(Units="BQML"), modality="PT", slope=lambda z: 0.01 * (z + 1), intercept=lambda z: -5.0 * z),
        "negative slope": right(lambda s: s, slope=lambda z: -0.05, intercept=lambda z: 200.0),
        "MR without rescale": right(lambda s: s, modality="MR", slope=lambda z: 0),
        "MR with rescale": right(lambda s: s, modality="MR"),
        "unsigned": right(lambda s: s, signed=False),
        "8 bits": right(as_type("u1"), coarse),
        "32 bits": right(as_type("i4"), warns="rounded to float32"),
        "32 bits unsigned": right(as_type("u4"), warns="rounded to float32"),
        "float": right(as_type("f4")),
        "double": right(as_type("f8")),
        "12 bits": right(each(BitsStored=12, HighBit=11), **twelve),
        "12 bits under an overlay": right(both(each(BitsStored=12, HighBit=11), overlay), **twelve),
        "12 bits signed, upper bits clear": right(unsigned_bits, slope=lambda z: 0.1, intercept=lambda z: 100.0),
        "modality LUT": right(lookup_table),
        "PixelPaddingValue": right(each(PixelPaddingValue=-2000), warns="PixelPaddingValue"),
        "real world value mapping": right(real_world, warns="real world"),
        "odd number of bytes": right(as_type("u1"), (Truth(AFFINE, (3, 5, 5), tolerance=0.51),), shape=(3, 5, 5)),
        "MONOCHROME1": Entry(written(each(PhotometricInterpretation="MONOCHROME1")), refused="MONOCHROME1", permissive=RIGHT),
        "CT without rescale": Entry(written(bare, slope=lambda z: 1.0, intercept=lambda z: 0.0), refused="no complete rescale", permissive=coarse),
        "another rescale in one slice": Entry(  # which is true here, and a damaged digit as often
            written(slope=lambda z: 0.05 if z % 2 else 0.06, shape=(4, 6, 3)), refused="another rescale or PixelRepresentation than most",
            permissive=(Truth(AFFINE, (4, 6, 3)),)),
        "another sign in one slice": Entry(
            written(one(0, PixelRepresentation=0)), refused="another rescale or PixelRepresentation than most", permissive=RIGHT),
        "another slope in half of the slices": right(same, (Truth(AFFINE, (4, 6, 4)),), shape=(4, 6, 4), slope=lambda z: 0.05 + 0.01 * (z % 2)),
        "slopes that are told otherwise": right(one(RescaleSlope="0.0500")),
        "bits above BitsStored": Entry(
            written(both(each(BitsStored=12, HighBit=11), above_the_bits(1 << 14)), **twelve),
            refused="bits above BitsStored", permissive=RIGHT),
    }  # fmt: skip


ENCODINGS = {
    "implicit little endian": ImplicitVRLittleEndian,
    "explicit little endian": ExplicitVRLittleEndian,
    "explicit big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    **({"JPEG-LS": JPEGLSLossless} if find_spec("jpeg_ls") else {}),
    **({"JPEG 2000": JPEG2000Lossless} if find_spec("openjpeg") else {}),
}


def encodings() -> dict[str, Entry]:
    found = {}
    for name, syntax in ENCODINGS.items():
        for signed in (True, False):
            change = big_endian if syntax == ExplicitVRBigEndian else same
            shape = (40, 48, 5)  # JPEG 2000 cannot hold very small images
            truth = (Truth(AFFINE, shape),)
            found[f"{name}, {'signed' if signed else 'unsigned'}"] = right(change, truth, syntax=syntax, signed=signed, shape=shape)
    return found


def named(area: str, found: dict[str, Entry]) -> dict[str, Entry]:
    return {f"dicom/{area}/{name.replace('/', ' of ')}": entry for name, entry in found.items()}


ENTRIES: dict[str, Entry] = {
    **named("geometry", geometry()),
    **named("refused", {name: Entry(written(change), refused=reason) for name, (change, reason) in REFUSED.items()}),
    **named("values", values()),
    **named("encodings", encodings()),
    **named("broken", corpus_dicom_broken.ENTRIES),
    **named("volumes", corpus_dicom_volumes.ENTRIES),
    **named("frames", corpus_dicom_frames.ENTRIES),
}
