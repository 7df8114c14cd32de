from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medgen.scans import Scan, ScanError, read
from medgen.scans.dicom_derived import EDGE_ENHANCEMENT, SMOOTHING, Maker
from medgen.scans.dicom_write import write_dicom
from tests.scans.dicom_lint import dciodvfy, lint, need
from tests.scans.phantoms import ORIENTATIONS, field, nifti_affine, nifti_image, save_series, series, turned

SAMPLES = Path(__file__).parents[2] / "sample_data"
MAKER = Maker("a_bundle", "1.2.3", "ab" * 32)


def write(folder: Path, array: np.ndarray, like: Scan, **options: object) -> list[Dataset]:
    write_dicom(folder, array, like, **{"description": "Noise removed", "maker": MAKER, **options})  # type: ignore[arg-type]
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def source(folder: Path, change: Callable[[Dataset], None] | None = None, **options: object) -> Scan:
    slices = series(**options)  # type: ignore[arg-type]
    for ds in slices:
        ds.PatientSex, ds.StudyDate, ds.StudyTime, ds.BodyPartExamined = "O", "20200102", "101112", "HEAD"
        ds.Manufacturer, ds.ManufacturerModelName, ds.StudyID = "Scanner Works", "S1", "7"
        if change:
            change(ds)
    save_series(slices, folder)
    return read(folder)


def step(ds: Dataset) -> float:
    return abs(float(ds.get("RescaleSlope", 1)))


def assert_comes_back(folder: Path, array: np.ndarray, like: Scan) -> Scan:
    back = read(folder)
    ds = pydicom.dcmread(next(iter(sorted(folder.iterdir()))))
    tolerance = step(ds) / 2 * 1.001 + 1e-6 * np.abs(array).max()
    np.testing.assert_allclose(back.image[0].numpy(), array, atol=tolerance, rtol=0)
    np.testing.assert_array_equal(back.image.affine.numpy(), like.image.affine.numpy())
    assert back.modality == like.modality and back.units == like.units
    return back


@pytest.mark.parametrize("sample", ["mr_brain_dicom", "ct_lung_dicom"])
def test_a_sample_series_comes_back_and_is_sound(sample: str, tmp_path: Path) -> None:
    scan = read(SAMPLES / sample)
    array = scan.image[0].numpy() + 0.3
    slices = write(tmp_path / "out", array, scan)
    back = assert_comes_back(tmp_path / "out", array, scan)
    np.testing.assert_array_equal(back.image, scan.image)  # whole numbers stay whole
    assert lint(tmp_path / "out", scan) == []
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []
    assert slices[0].SeriesDescription == "Noise removed - RESEARCH USE ONLY"
    assert [item.Manufacturer for item in slices[0].ContributingEquipmentSequence] == ["medgen sample_data", "medgen"]
    assert MAKER.weights_sha256 in slices[0].ContributingEquipmentSequence[-1].ContributionDescription


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_keeps_its_place(orientation: str, modality: str, tmp_path: Path) -> None:
    rescale = {} if modality == "CT" else {"slope": lambda z: 0.0}
    scan = source(tmp_path / "in", orientation=ORIENTATIONS[orientation], modality=modality, **rescale)
    array = scan.image[0].numpy() * 0.9 + 3.3
    write(tmp_path / "out", array, scan)
    assert_comes_back(tmp_path / "out", array, scan)
    assert lint(tmp_path / "out", scan) == []
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())[:2]) == []


RANGES = {
    "whole": (0, 4000), "negative": (-3000, 50), "beyond the source's": (-60000, 60000), "tiny": (0, 1e-3),
    "huge": (-1e9, 1e9), "constant": (7.25, 7.25), "zero": (0, 0), "far from zero": (1e6, 1e6 + 10),
}  # fmt: skip


@pytest.mark.parametrize("whole", [True, False], ids=["stored as whole numbers", "stored as floats"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("values", RANGES)
def test_values_come_back_within_half_a_step(values: str, modality: str, whole: bool, tmp_path: Path) -> None:
    scan = source(tmp_path / "in", modality=modality, slope=lambda z: 1.0)
    object.__setattr__(scan, "dtype", np.dtype(np.int16 if whole else np.float32))
    low, high = RANGES[values]
    array = np.linspace(low, high, scan.image[0].numel(), dtype=np.float64).reshape(scan.image.shape[1:])
    slices = write(tmp_path / "out", array.astype(np.float32), scan)
    assert_comes_back(tmp_path / "out", array, scan)
    assert step(slices[0]) <= max((high - low) / 65535 * 1.0001, 1.0)
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []


@pytest.mark.parametrize(("slope", "intercept"), [(2.0, -1024.0), (0.05, -200.0), (0.37, 11.5)])
def test_the_sources_rescale_stays_where_the_values_fit(slope: float, intercept: float, tmp_path: Path) -> None:
    scan = source(tmp_path / "in", modality="MR", slope=lambda z: slope, intercept=lambda z: intercept)
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert (float(first.RescaleSlope), float(first.RescaleIntercept)) == (slope, intercept)
    assert_comes_back(tmp_path / "out", scan.image[0].numpy(), scan)


def test_a_rescale_for_each_slice_becomes_one(tmp_path: Path) -> None:
    scan = source(tmp_path / "in", modality="MR", slope=lambda z: 0.02 * (z + 1))
    slices = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert len({float(ds.RescaleSlope) for ds in slices}) == 1
    assert_comes_back(tmp_path / "out", scan.image[0].numpy(), scan)


NAMES = {
    "Latin 1": ("ISO_IR 100", "Müller^Jörg"),
    "Cyrillic": ("ISO_IR 144", "Люкceмбypг"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    "GB18030": ("GB18030", "Wang^XiaoDong=王^小东"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "none named": (None, "Müller^Jörg"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("charset", NAMES)
def test_names_in_other_alphabets_stay_right(charset: str, tmp_path: Path) -> None:
    declared, name = NAMES[charset]

    def rename(ds: Dataset) -> None:
        if declared:
            ds.SpecificCharacterSet = declared
        ds.PatientName, ds.StudyDescription = name, name.split("=")[-1].replace("^", " ")

    scan = source(tmp_path / "in", rename)
    slices = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert str(slices[0].PatientName) == name
    assert slices[0].StudyDescription == name.split("=")[-1].replace("^", " ")
    assert slices[0].SpecificCharacterSet == (declared or "ISO_IR 100")
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []


def dirty(ds: Dataset) -> None:
    """Plant what no longer holds of derived pixels, and what no object may hold."""
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue, ds.PixelPaddingValue = 0, 10, -2000
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        ds[keyword].VR = "SS"
    ds.WindowCenter, ds.WindowWidth, ds.WindowCenterWidthExplanation = [40, 300], [400, 1500], ["SOFT", "LUNG"]
    ds.BurnedInAnnotation, ds.LossyImageCompression, ds.LossyImageCompressionRatio = "NO", "01", 10
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.add_new(0x60003000, "OW", b"\0\0")
    ds.private_block(0x0029, "SECRET VENDOR", create=True).add_new(1, "LO", "private")
    nested = Dataset()
    nested.private_block(0x0029, "SECRET VENDOR", create=True).add_new(1, "LO", "private")
    nested.CodeValue, nested.CodingSchemeDesignator, nested.CodeMeaning = "T-A0100", "SRT", "Brain"
    ds.AnatomicRegionSequence = Sequence([nested])
    ds.RequestAttributesSequence = Sequence([Dataset()])
    ds.ImageComments, ds.ProtocolName = "old", "x" * 80
    ds.SliceLocation, ds.AcquisitionNumber, ds.KVP = "1.23456789012345678901", 4, 120


@pytest.mark.filterwarnings("ignore")
def test_what_no_longer_holds_is_left_behind(tmp_path: Path) -> None:
    scan = source(tmp_path / "in", dirty)
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert lint(tmp_path / "out", scan) == []
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []
    assert list(first.WindowCenter) == [40, 300] and first.LossyImageCompression == "01"
    assert first.AnatomicRegionSequence[0].CodeMeaning == "Brain"
    assert first.KVP == 120 and first.AcquisitionNumber is None
    assert "ProtocolName" not in first and "ImageComments" not in first
    assert [i.Manufacturer for i in first.ContributingEquipmentSequence] == ["Scanner Works", "medgen"]


@pytest.mark.parametrize("part", ["", "HEAD", "KNEE", "CHEST"])
def test_any_body_part_is_valid(part: str, tmp_path: Path) -> None:
    def change(ds: Dataset) -> None:
        ds.BodyPartExamined = part
        if part == "KNEE":
            ds.Laterality = "L"

    scan = source(tmp_path / "in", change)
    write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []


def test_a_minimal_header_is_made_whole(tmp_path: Path) -> None:
    def strip(ds: Dataset) -> None:
        for keyword in ("PatientName", "PatientID", "StudyDate", "FrameOfReferenceUID", "SeriesNumber", "ImageType"):
            ds.pop(keyword, None)

    for modality in ("CT", "MR"):
        scan = source(tmp_path / f"in{modality}", strip, modality=modality)
        write(tmp_path / modality, scan.image[0].numpy(), scan)
        assert dciodvfy(*sorted((tmp_path / modality).iterdir())) == []


@pytest.mark.parametrize("target", ["CT", "MR"])
def test_synthetic_images_say_so(target: str, tmp_path: Path) -> None:
    scan = source(tmp_path / "in", lambda ds: setattr(ds, "EchoTime", 90), modality="MR")
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan, synthetic=True, modality=target)
    assert lint(tmp_path / "out", scan, synthetic=True) == []
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []
    assert first.SyntheticData == "YES" and first.Modality == target and not first.get("EchoTime")
    assert "not acquired" in first.DerivationDescription
    again = read(tmp_path / "out")
    (second, *_) = write(tmp_path / "twice", again.image[0].numpy(), again)  # what derives from synthetic data is synthetic
    assert second.SyntheticData == "YES"


def test_a_series_derived_twice_names_all_that_made_it(tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    write(tmp_path / "once", scan.image[0].numpy(), scan)
    once = read(tmp_path / "once")
    (first, *_) = write(tmp_path / "twice", once.image[0].numpy(), once, derivation=EDGE_ENHANCEMENT)
    assert [i.Manufacturer for i in first.ContributingEquipmentSequence] == ["Scanner Works", "medgen", "medgen"]
    assert first.DerivationCodeSequence[0].CodeMeaning == "Edge enhancement"
    assert lint(tmp_path / "twice", once) == []


ROTATIONS = {"straight": None, "oblique": turned(10, -20, 5), "sagittal": turned(z=90) @ turned(x=90), "coronal": turned(x=90)}


def corners(scan: Scan) -> np.ndarray:
    """Return the places of the eight corner voxels, sorted."""
    indices = np.array(list(itertools.product(*[(0, n - 1) for n in scan.image.shape[1:]])))
    places = indices @ scan.image.affine.numpy()[:3, :3].T + scan.image.affine.numpy()[:3, 3]
    return places[np.lexsort(np.rint(places * 10).T)]


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_nifti_gets_a_nameless_patient_and_keeps_its_place(
    rotation: str, flips: tuple[int, ...], modality: str, tmp_path: Path
) -> None:
    nib.save(nifti_image(nifti_affine(ROTATIONS[rotation], flips)), tmp_path / "a.nii.gz")
    scan = read(tmp_path / "a.nii.gz")
    slices = write(tmp_path / "out", scan.image[0].numpy(), scan, modality=modality)
    back = read(tmp_path / "out")
    own = back.image.affine.numpy()
    np.testing.assert_allclose(back.image[0].numpy(), field(own, back.image.shape[1:]), atol=step(slices[0]) + 1e-3)
    before, after = (corners(a) for a in (scan, back))
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())[:2]) == []
    assert str(slices[0].PatientName) == "Anonymous^Medgen" and slices[0].StudyInstanceUID.startswith("2.25.")
    x, y = np.array(slices[0].ImageOrientationPatient[:3]), np.array(slices[0].ImageOrientationPatient[3:])
    assert x[np.abs(x).argmax()] > 0  # rows run to the left or the back
    assert (y[2] < 0) if np.abs(y).argmax() == 2 else (y[1] > 0)  # columns run down or to the back


def test_two_results_of_one_nifti_share_their_study(tmp_path: Path) -> None:
    nib.save(nifti_image(nifti_affine()), tmp_path / "a.nii.gz")
    scan = read(tmp_path / "a.nii.gz")
    a, b = (write(tmp_path / name, scan.image[0].numpy(), scan, modality="MR")[0] for name in "ab")
    assert a.StudyInstanceUID == b.StudyInstanceUID and a.SeriesInstanceUID != b.SeriesInstanceUID
    assert a.PatientID == b.PatientID and a.FrameOfReferenceUID == b.FrameOfReferenceUID


@pytest.mark.parametrize(
    ("options", "array", "message"),
    [
        ({"modality": "PT"}, lambda a: a, "not CT or MR"),
        ({}, lambda a: a[1:], "shape"),
        ({}, lambda a: a * np.nan, "NaN"),
    ],
)
def test_what_cannot_be_written_is_refused(options: dict, array: Callable, message: str, tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    with pytest.raises(ScanError, match=message):
        write(tmp_path / "out", array(scan.image[0].numpy()), scan, **options)
    assert not (tmp_path / "out").exists()


def test_an_earlier_series_is_replaced_and_other_files_are_not(tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    (second, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(ScanError, match="other files"):
        write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert (tmp_path / "out/notes.txt").read_text() == "mine"


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = source(tmp_path / "in")
    real, calls = pydicom.dcmwrite, []

    def full(path: Path, ds: Dataset, **options: object) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, os.strerror(28))
        real(path, ds, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pydicom, "dcmwrite", full)
    with pytest.raises(ScanError, match="No space left"):
        write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    (tmp_path / "out").write_text("")
    with pytest.raises(ScanError, match="cannot be written"):
        write(tmp_path / "out", scan.image[0].numpy(), scan)


def test_nothing_of_the_header_is_said_aloud(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def bad(ds: Dataset) -> None:
        ds.add_new("BodyPartExamined", "LO", "Secretname")  # no such coded string
        ds.StudyDescription = "Secretname " * 20

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scan = source(tmp_path / "in", bad)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_dicom(tmp_path / "out", scan.image[0].numpy(), scan, description="x", maker=MAKER, derivation=SMOOTHING)
    assert "Secretname" not in "".join(map(str, caught)) + "".join(capfd.readouterr())


def test_dciodvfy_is_there_and_finds_faults(tmp_path: Path) -> None:
    need("dciodvfy", "dicom3tools")
    scan = source(tmp_path / "in")
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    del first.ImageType
    first.save_as(tmp_path / "broken.dcm")
    assert dciodvfy(tmp_path / "broken.dcm")
