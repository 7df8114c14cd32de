"""A DICOM series is read right or refused with its reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

from medgen.scans import ScanError, read
from medgen.scans.dicom_series import read_series
from tests.scans.phantoms import (
    ORIENTATIONS,
    RAS,
    SECRETS,
    assert_phantom,
    dicom_affine,
    save_series,
    series,
    set_pixels,
    turned,
)

SHAPE, PIXEL, STEP, ORIGIN = (4, 6, 5), (2.0, 1.0), 3.0, (-12.0, 7.0, 10.0)
AFFINE = dicom_affine(ORIENTATIONS["axial"], PIXEL, STEP, ORIGIN)
SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_orientation_lies_where_the_header_says(orientation: list[float], tmp_path: Path) -> None:
    slices = series(orientation, shape=(7, 5, 4), pixel=(0.7, 1.3), step=2.4)
    scan = read_series(save_series(slices[::-1], tmp_path))
    assert_phantom(scan, dicom_affine(orientation, (0.7, 1.3), 2.4, ORIGIN), (7, 5, 4), tolerance=0.03)
    np.testing.assert_allclose(scan.spacing, (1.3, 0.7, 2.4), rtol=1e-6)


@pytest.mark.parametrize("numbers", [[3, 1, 5, 2, 4], [1] * 5, [None] * 5, ["absent"] * 5])
def test_only_positions_order_the_slices(numbers: list[int | str | None], tmp_path: Path) -> None:
    slices = series()
    for ds, number in zip(slices, numbers):
        if number == "absent":
            del ds.InstanceNumber
        else:
            ds.InstanceNumber = number
    assert_phantom(read_series(save_series(slices, tmp_path, names=["c", "a", "e", "b", "d"])), AFFINE, SHAPE)
    assert_phantom(read(tmp_path), AFFINE, SHAPE)


def test_positions_rounded_to_a_hundredth_are_no_error(tmp_path: Path) -> None:
    slices = series(ORIENTATIONS["double oblique"])
    for ds in slices:
        ds.ImagePositionPatient = [f"{float(v):.2f}" for v in ds.ImagePositionPatient]
        ds.ImageOrientationPatient = [f"{float(v):.4f}" for v in ds.ImageOrientationPatient]
    scan = read_series(save_series(slices, tmp_path))
    expected = dicom_affine(ORIENTATIONS["double oblique"], PIXEL, STEP, ORIGIN)
    np.testing.assert_allclose(scan.image.affine.numpy(), expected, atol=0.01)
    axes = scan.image.affine.numpy()[:3, :3] / scan.spacing
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless])
def test_every_encoding_gives_the_same_values(syntax: str, signed: bool, tmp_path: Path) -> None:
    scan = read_series(save_series(series(signed=signed), tmp_path, syntax))
    assert_phantom(scan, AFFINE, SHAPE, tolerance=1e-3)
    assert (scan.modality, scan.units) == ("CT", "HU")


def test_big_endian_is_read(tmp_path: Path) -> None:
    slices = series()
    for ds in slices:
        ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
    assert_phantom(read_series(save_series(slices, tmp_path, ExplicitVRBigEndian)), AFFINE, SHAPE, tolerance=1e-3)


def test_twelve_stored_bits_are_read(tmp_path: Path) -> None:
    slices = series(signed=False, slope=lambda z: 1.0)
    for ds in slices:
        ds.BitsStored, ds.HighBit = 12, 11
    assert_phantom(read_series(save_series(slices, tmp_path)), AFFINE, SHAPE)


def test_each_slice_is_rescaled_by_its_own_slope(tmp_path: Path) -> None:
    slices = series(modality="PT", slope=lambda z: 0.01 * (z + 1), intercept=lambda z: -5.0 * z)
    for ds in slices:
        ds.Units = "BQML"
    scan = read_series(save_series(slices, tmp_path))
    assert_phantom(scan, AFFINE, SHAPE, tolerance=0.03)
    assert (scan.modality, scan.units, scan.dtype) == ("PT", "BQML", np.float32)


def test_mr_without_rescale_is_as_stored(tmp_path: Path) -> None:
    scan = read_series(save_series(series(modality="MR", slope=lambda z: 0), tmp_path))
    assert_phantom(scan, AFFINE, SHAPE, tolerance=1e-4)
    assert (scan.modality, scan.units, scan.dtype) == ("MR", "arbitrary", np.int16)


@pytest.mark.parametrize("value, dtype", [(32767, np.int16), (40000, np.float32)])
def test_whole_values_that_fit_are_to_be_written_as_int16(value: int, dtype: type, tmp_path: Path) -> None:
    slices = series(modality="MR", signed=False, slope=lambda z: 0)
    set_pixels(slices[0], np.full((6, 4), value))
    assert read_series(save_series(slices, tmp_path)).dtype == dtype


def test_the_hash_is_of_all_files(tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    before = read_series(files)
    assert before.sha256 == read_series(files).sha256 and len(before.sha256) == 64
    files[-1].write_bytes(files[-1].read_bytes()[:-2] + b"\0\1")
    assert read_series(files).sha256 != before.sha256


def test_a_real_series_is_read_as_gdcm_reads_it() -> None:
    folder = SAMPLES / "mr_brain_dicom"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    scan = read(folder)
    np.testing.assert_allclose(scan.image[0].numpy(), sitk.GetArrayFromImage(image).transpose(2, 1, 0), atol=1e-3)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(scan.image.affine.numpy(), RAS @ affine, atol=1e-3)


millimetres = st.floats(0.4, 4)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    pixel=st.tuples(millimetres, millimetres),
    step=millimetres,
    origin=st.tuples(*[st.floats(-40, 40)] * 3),
    shape=st.tuples(st.integers(2, 5), st.integers(2, 5), st.integers(2, 5)),
    data=st.data(),
)
def test_any_series_says_its_place(
    angles: tuple[float, ...],
    pixel: tuple[float, float],
    step: float,
    origin: tuple[float, float, float],
    shape: tuple[int, int, int],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    orientation = turned(*angles)[:, :2].T.ravel().tolist()
    slices = series(orientation, shape=shape, pixel=pixel, step=step, origin=origin)
    files = save_series(data.draw(st.permutations(slices)), tmp_path_factory.mktemp("any"))
    assert_phantom(read_series(files), dicom_affine(orientation, pixel, step, origin), shape, tolerance=0.03)


Change = Callable[[list[Dataset]], Sequence[Dataset]]


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


def put(ds: Dataset, values: dict[str, object]) -> None:
    for name, value in values.items():
        if value == "absent":
            del ds[name]
        elif isinstance(value, bytes):  # as it stands in the file, however wrong
            vr = {"RescaleSlope": "DS", "NumberOfFrames": "IS"}.get(name, "DS")
            ds[name] = RawDataElement(Tag(name), vr, len(value), value, 0, False, True)
        else:
            setattr(ds, name, value)


def moved(step: Callable[[int], Sequence[float]]) -> Change:
    """Put slice z at `step(z)` mm (LPS)."""

    def change(slices: list[Dataset]) -> list[Dataset]:
        for z, ds in enumerate(slices):
            ds.ImagePositionPatient = list(step(z))
        return slices

    return change


def other_size(slices: list[Dataset]) -> list[Dataset]:
    slices[2].Rows = 5
    set_pixels(slices[2], np.zeros((5, 4)))
    return slices


def lookup_table(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        table = Dataset()
        table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [2, 0, 16], "HU", b"\0\0\1\0"
        ds.ModalityLUTSequence = [table]
    return slices


def short_pixels(slices: list[Dataset]) -> list[Dataset]:
    slices[2].PixelData = slices[2].PixelData[:-10]
    return slices


def float_nan(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
        ds.BitsAllocated, ds.FloatPixelData = 32, np.full((6, 4), np.nan, "<f4").tobytes()
    return slices


def rgb(slices: list[Dataset]) -> list[Dataset]:
    for ds in slices:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.PixelData *= 3
    return slices


TURNED = [*turned(x=3)[:, 0], *turned(x=3)[:, 1]]
REFUSED: dict[str, tuple[Change, str]] = {
    "missing slice": (lambda s: s[:2] + s[3:], r"1 slice\(s\) missing"),
    "two missing slices": (lambda s: [ds for z, ds in enumerate(series(shape=(4, 6, 9))) if z not in (3, 6)], r"2 slice\(s\) missing"),
    "uneven spacing": (moved(lambda z: (0, 0, (0, 3, 6.4, 9, 12)[z])), "unevenly spaced"),
    "duplicate position": (moved(lambda z: (0, 0, 3 * min(z, 3))), "two slices at one position"),
    "gantry tilt": (moved(lambda z: (0, 0.5 * z, 3 * z)), "gantry tilt"),
    "single slice": (lambda s: s[:1], "only slice"),
    "no position": (each(ImagePositionPatient="absent"), "no ImagePositionPatient"),
    "empty position": (one(ImagePositionPatient=None), "no ImagePositionPatient"),
    "position without z": (one(ImagePositionPatient=[0, 1]), "no ImagePositionPatient"),
    "position not a number": (one(ImagePositionPatient=b"0\\nan\\6 "), "ImagePositionPatient is not a number"),
    "no orientation": (each(ImageOrientationPatient="absent"), "no ImageOrientationPatient"),
    "empty orientation": (each(ImageOrientationPatient=None), "no ImageOrientationPatient"),
    "orientation not a number": (one(ImageOrientationPatient=b"nan\\0\\0\\0\\1\\0 "), "Patient is not a number"),
    "no PixelSpacing": (each(PixelSpacing="absent"), "no PixelSpacing"),
    "empty PixelSpacing": (each(PixelSpacing=None), "no PixelSpacing"),
    "one PixelSpacing": (each(PixelSpacing=b"1 "), "no PixelSpacing"),
    "zero PixelSpacing": (each(PixelSpacing=[0, 1]), "not above zero"),
    "negative PixelSpacing": (each(PixelSpacing=[1, -1]), "not above zero"),
    "PixelSpacing of words": (each(PixelSpacing=b"wide\\1"), "not a readable DICOM file"),
    "non-orthonormal orientation": (each(ImageOrientationPatient=[1, 0, 0, 0.2, 1, 0]), "not orthonormal"),
    "zero orientation": (each(ImageOrientationPatient=[0] * 6), "not orthonormal"),
    "other size": (other_size, "differ in size"),
    "other orientation": (one(ImageOrientationPatient=TURNED), "differ in orientation"),
    "other spacing": (one(PixelSpacing=[2, 1.1]), "differ in PixelSpacing"),
    "other frame of reference": (one(FrameOfReferenceUID=generate_uid()), "frame of reference"),
    "no Columns": (one(Columns="absent"), "no Rows or Columns"),
    "multi-frame": (each(NumberOfFrames=3), "multi-frame"),
    "enhanced": (each(PerFrameFunctionalGroupsSequence=[Dataset()]), "multi-frame"),
    "frames of words": (each(NumberOfFrames=b"many"), "not a readable DICOM file"),
    "mosaic": (each(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
    "RGB": (rgb, "RGB"),
    "PALETTE": (each(PhotometricInterpretation="PALETTE COLOR"), "PALETTE COLOR"),
    "MONOCHROME1": (each(PhotometricInterpretation="MONOCHROME1"), "MONOCHROME1"),
    "no photometric": (each(PhotometricInterpretation="absent"), "of unknown kind"),
    "modality LUT": (lookup_table, "modality lookup table"),
    "CT without rescale": (each(RescaleSlope="absent", RescaleIntercept="absent"), "no complete rescale"),
    "slope without intercept": (each(Modality="MR", RescaleIntercept="absent"), "no complete rescale"),
    "empty slope": (one(RescaleSlope=None), "no complete rescale"),
    "zero slope": (one(RescaleSlope=0), "rescale is zero"),
    "slope not a number": (one(RescaleSlope=b"nan "), "rescale is zero or not a number"),
    "NaN pixels": (float_nan, "NaN"),
    "no pixels": (each(PixelData="absent"), "no pixels"),
    "short pixels": (short_pixels, "cannot be decoded"),
}


def assert_one_safe_line(error: ScanError, folder: Path) -> None:
    """Check that a message names path, reason and remedy in one line, and nothing of the patient."""
    message = str(error)
    assert error.reason and error.remedy and message == f"{error.path}: {error.reason}; {error.remedy}"
    assert Path(error.path) == folder or Path(error.path).parent == folder
    assert "\n" not in message and not [secret for secret in SECRETS if secret.lower() in message.lower()]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what is planted here
@pytest.mark.parametrize("change, reason", REFUSED.values(), ids=REFUSED)
def test_refused(change: Change, reason: str, tmp_path: Path) -> None:
    files = save_series(change(series()), tmp_path)
    with pytest.raises(ScanError, match=reason) as caught:
        read_series(files)
    assert_one_safe_line(caught.value, tmp_path)
    with pytest.raises(ScanError) as caught:  # and through the door that users take
        read(tmp_path)
    assert_one_safe_line(caught.value, tmp_path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_no_place_to_cut_a_file_short_goes_unseen(syntax: str, tmp_path: Path) -> None:
    files = save_series(series(), tmp_path, syntax)
    whole = files[-1].read_bytes()  # the last slice: without it the rest is an even series
    for cut in [*range(0, len(whole) - 4, 23), len(whole) - 5]:  # the last 4 bytes of RLE are no pixels
        files[-1].write_bytes(whole[:cut])
        with warnings.catch_warnings(), pytest.raises(ScanError):
            warnings.simplefilter("ignore")
            read_series(files)
        with warnings.catch_warnings(), pytest.raises(ScanError):
            warnings.simplefilter("ignore")
            read(tmp_path)


def test_the_error_names_the_broken_file(tmp_path: Path) -> None:
    files = save_series(short_pixels(series()), tmp_path, names=["e", "d", "b", "a", "c"])
    with pytest.raises(ScanError, match="cannot be decoded") as caught:
        read_series(sorted(files))
    assert caught.value.path == str(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"no DICOM at all " * 20])
def test_what_is_no_dicom_is_refused(content: bytes, tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    files[1].write_bytes(content)
    with pytest.raises(ScanError, match="z001.dcm: is not a readable DICOM file"):
        read_series(files)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    files[1].unlink()
    with pytest.raises(ScanError, match="z001.dcm: cannot be read"):
        read_series(files)
    files[1].mkdir()  # as root a file without permission can be read, a folder cannot
    with pytest.raises(ScanError, match="z001.dcm: cannot be read"):
        read_series(files)
