from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from pydicom.dataset import Dataset

from medgen.scans import Scan, ScanError, read
from medgen.scans.dicom_derived import EDGE_ENHANCEMENT
from tests.scans.derived import MAKER, SAMPLES, assert_comes_back, source, step, write
from tests.scans.dicom_lint import dciodvfy, lint, need
from tests.scans.phantoms import ORIENTATIONS, field, itk_image, nifti_affine, nifti_image, turned


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
    "huge": (-1e9, 1e9), "enormous": (-4e18, 4e18), "next to nothing": (0, 1e-33), "beyond 16 bits": (-40000, 40000), "constant": (7.25, 7.25), "zero": (0, 0), "far from zero": (1e6, 1e6 + 10),
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


@pytest.mark.parametrize(("told", "units"), [(None, "HU"), ("HU", "HU"), ("US", "arbitrary"), ("ED", "ED")])
def test_a_ct_keeps_its_units(told: str | None, units: str, tmp_path: Path) -> None:
    scan = source(tmp_path / "in", lambda ds: told and setattr(ds, "RescaleType", told))
    write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert assert_comes_back(tmp_path / "out", scan.image[0].numpy(), scan).units == units
    assert dciodvfy(min((tmp_path / "out").iterdir())) == []


def test_a_rescale_for_each_slice_becomes_one(tmp_path: Path) -> None:
    scan = source(tmp_path / "in", modality="MR", slope=lambda z: 0.02 * (z + 1))
    slices = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert len({float(ds.RescaleSlope) for ds in slices}) == 1
    assert_comes_back(tmp_path / "out", scan.image[0].numpy(), scan)


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
        ({"modality": "PT"}, lambda a: a, "its modality is PT, not CT or MR"),
        ({"modality": "SECRETNAME"}, lambda a: a, "its modality is unknown, not CT or MR"),
        ({}, lambda a: a * 0 + 5e18, "values beyond 4e.18"),
        ({}, lambda a: a[1:], "shape"),
        ({}, lambda a: a * np.nan, "NaN"),
    ],
)
def test_what_cannot_be_written_is_refused(options: dict, array: Callable, message: str, tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    with pytest.raises(ScanError, match=message):
        write(tmp_path / "out", array(scan.image[0].numpy()), scan, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore")
def test_pet_is_refused_by_name(tmp_path: Path) -> None:
    scan = source(tmp_path / "in", lambda ds: setattr(ds, "Units", "BQML"), modality="PT")
    with pytest.raises(ScanError, match="its modality is PT, not CT or MR; write NIfTI instead"):
        write(tmp_path / "out", scan.image[0].numpy(), scan)


def test_a_4d_scan_is_refused_and_its_volumes_are_not(tmp_path: Path) -> None:
    one, two = (source(tmp_path / name) for name in "ab")
    both = replace(one, image=MetaTensor(torch.cat([one.image, two.image])), slices=one.slices + two.slices)
    with pytest.raises(ScanError, match="holds 2 volumes.*one by one"):
        write(tmp_path / "out", one.image[0].numpy(), both)
    for number, volume in enumerate(both.volumes()):
        write(tmp_path / str(number), volume.image[0].numpy(), volume)
        assert_comes_back(tmp_path / str(number), volume.image[0].numpy(), (one, two)[number])
        assert lint(tmp_path / str(number), volume) == []


@pytest.mark.parametrize("headers", [True, False], ids=["of DICOM", "of NIfTI"])
def test_a_single_slice_is_sound(headers: bool, tmp_path: Path) -> None:
    scan = source(tmp_path / "in", modality="MR")
    bare = {} if headers else {"slices": (), "modality": ""}
    scan = replace(scan, **{"image": scan.image[..., 2:3], "slices": scan.slices[2:3], **bare})
    (only,) = write(tmp_path / "out", scan.image[0].numpy(), scan, modality="MR")
    assert dciodvfy(min((tmp_path / "out").iterdir())) == [] and only.pixel_array.shape == (6, 4)


def test_nrrd_becomes_a_series_too(tmp_path: Path) -> None:
    affine = nifti_affine(turned(10, -20, 5))
    sitk.WriteImage(itk_image(affine), str(tmp_path / "a.nrrd"))
    scan = read(tmp_path / "a.nrrd")
    slices = write(tmp_path / "out", scan.image[0].numpy(), scan, modality="CT")
    own = read(tmp_path / "out").image
    np.testing.assert_allclose(own[0], field(own.affine.numpy(), own.shape[1:]), atol=step(slices[0]) + 1e-3)
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())[:2]) == []


def test_uids_are_new_each_time_and_those_of_the_study_are_not(tmp_path: Path) -> None:
    scan = source(tmp_path / "in")
    twice = [write(tmp_path / name, scan.image[0].numpy(), scan) for name in "ab"]
    uids = [ds.SOPInstanceUID for slices in (*twice, scan.slices) for ds in slices]
    assert len(set(uids)) == len(uids) == 15 and all(len(uid) <= 64 for uid in uids)
    assert len({slices[0].SeriesInstanceUID for slices in (*twice, scan.slices)}) == 3
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({str(ds.get(keyword)) for slices in (*twice, scan.slices) for ds in slices}) == 1


def test_numbers_of_many_digits_fit_into_16_characters(tmp_path: Path) -> None:
    def shift(ds: Dataset) -> None:
        ds.ImagePositionPatient = [-123.45678901234567, 1e-17, float(ds.ImagePositionPatient[2]) + 1000 / 3]
        ds.PixelSpacing = ["0.30000001192093", "0.7"]

    with pydicom.config.disable_value_validation():
        scan = source(tmp_path / "in", shift)
    for ds in write(tmp_path / "out", scan.image[0].numpy(), scan):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "SliceThickness"):
            assert all(len(str(number)) <= 16 for number in np.atleast_1d(np.array(ds[keyword].value, dtype=object)))
    back = read(tmp_path / "out")
    np.testing.assert_allclose(back.image.affine, scan.image.affine, atol=1e-8)
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []


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
    with pytest.raises(ScanError, match="is a file"):
        write(tmp_path / "out", scan.image[0].numpy(), scan)


def test_dciodvfy_is_there_and_finds_faults(tmp_path: Path) -> None:
    need("dciodvfy", "dicom3tools")
    scan = source(tmp_path / "in")
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    del first.ImageType
    first.save_as(tmp_path / "broken.dcm")
    assert dciodvfy(tmp_path / "broken.dcm")


def test_a_finer_grid_has_its_own_slices_in_the_sources_study(tmp_path: Path) -> None:
    scan = read(SAMPLES / "mr_brain_dicom")
    fine = torch.repeat_interleave(scan.image.as_tensor(), 3, dim=3)
    affine = scan.image.affine.clone()
    affine[:3, 2] /= 3
    affine[:3, 3] -= affine[:3, 2]
    target = replace(scan, image=MetaTensor(fine, affine=affine))
    slices = write(tmp_path / "out", fine[0].numpy(), target)
    back = read(tmp_path / "out")
    np.testing.assert_array_equal(back.image, fine)
    np.testing.assert_allclose(back.image.affine, affine, atol=1e-6)
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []
    spacing = float(np.linalg.norm(affine[:3, 2]))
    assert [float(ds.SliceThickness) for ds in slices] == pytest.approx([spacing] * len(slices), abs=1e-4)
    assert {ds.StudyInstanceUID for ds in slices} == {scan.slices[0].StudyInstanceUID}
    assert all(len(ds.SourceImageSequence) == len(scan.slices) for ds in slices)
