"""The sample scans: their table, their geometry and values, and that no header says more than it should."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pydicom
import pytest

ROOT = Path(__file__).resolve().parents[1] / "sample_data"
SERIES = {"ct_lung_dicom": "CT", "mr_brain_dicom": "MR"}
#: All that a sample header may hold besides pixels and geometry; anything else needs a look before it is added.
ALLOWED = {
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "Manufacturer",
    "SeriesDescription", "ImageType", "PatientName", "PatientID", "PatientIdentityRemoved", "DeidentificationMethod",
    "BurnedInAnnotation", "BodyPartExamined", "StudyID", "SeriesNumber", "InstanceNumber", "RescaleIntercept", "RescaleSlope",
    "RescaleType", "WindowCenter", "WindowWidth", "ScanningSequence", "SequenceVariant", "MRAcquisitionType", "SamplesPerPixel",
    "PhotometricInterpretation", "Columns", "Rows", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient", "PixelData",
}  # fmt: skip


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample_data", ROOT / "make_sample_data.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def table() -> dict[str, list[str]]:
    """Return the cells of the README's table, without their backticks, by file."""
    rows = re.findall(r"^\| `(.+?)` \| (.+) \|$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    return {name: [cell.strip("` ") for cell in cells.split(" | ")] for name, cells in rows}


def numbers(cell: str) -> tuple[float, ...]:
    return tuple(float(number) for number in cell.split(" x "))


def read_slices(folder: str) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted((ROOT / folder).iterdir())]


def test_all_together_are_at_most_ten_megabytes() -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if "__pycache__" not in path.parts) <= 10_000_000


def test_the_table_names_every_file_with_its_hash(script: ModuleType) -> None:
    assert {name: cells[-1] for name, cells in table().items()} == script.digests(ROOT)
    files = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    scans = {name for name in files if name.endswith((".nii.gz", ".dcm"))}
    assert files - scans == {"README.md", "make_sample_data.py"}
    assert all("/" in name for name in scans)


def test_a_changed_byte_changes_the_hash(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in (1, 2):
        (tmp_path / f"a/{number}.dcm").write_bytes(bytes([number]))
    before = script.digests(tmp_path)
    (tmp_path / "a/2.dcm").write_bytes(b"\x07")
    assert list(before) == ["a/*.dcm"] and before != script.digests(tmp_path)


@pytest.mark.parametrize("name", ["brain/mni152_t1.nii.gz", "brain/brain1.nii.gz", "phantom/phantom.nii.gz", "phantom/phantom_labels.nii.gz"])
def test_nifti_has_the_geometry_that_the_table_says(name: str) -> None:
    image = nib.load(ROOT / name)
    *_, shape, spacing, stored, _ = table()[name]
    assert image.shape == numbers(shape)
    assert np.allclose(nib.affines.voxel_sizes(image.affine), numbers(spacing), atol=1e-6)
    assert image.get_data_dtype() == np.dtype(stored.split(",")[0])
    assert image.header["sform_code"] > 0 and image.header["qform_code"] > 0
    assert np.allclose(image.get_sform(), image.get_qform(), atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert not image.header.extensions
    if "phantom" not in name:
        assert "".join(nib.aff2axcodes(image.affine)) == stored.split(", ")[1]


def test_the_template_is_a_brain_about_the_origin() -> None:
    image = nib.load(ROOT / "brain/mni152_t1.nii.gz")
    data = np.asarray(image.dataobj)
    assert not np.any(data[[0, -1]]) and not np.any(data[:, [0, -1]]) and not np.any(data[:, :, -1])  # nothing cut off
    assert abs((data > 0).sum() / 1e6 - 1.9) < 0.2  # litres, the ICBM152 brain with its fluid
    x, y, z = np.rint(np.linalg.inv(image.affine) @ [0, 0, 0, 1])[:3].astype(int)
    assert data[x, y, z] > 0
    mirrored = data[2 * x - data.shape[0] + 1 :] if 2 * x >= data.shape[0] else data[: 2 * x + 1]
    assert np.corrcoef(mirrored.ravel(), mirrored[::-1].ravel())[0, 1] > 0.999  # the symmetric template, about x = 0


@pytest.mark.parametrize("folder", SERIES)
def test_dicom_is_one_even_series(folder: str) -> None:
    slices = read_slices(folder)
    _, _, _, shape, spacing, _, _ = table()[f"{folder}/*.dcm"]
    first = slices[0]
    assert (first.Columns, first.Rows, len(slices)) == numbers(shape)
    assert {ds.Modality for ds in slices} == {SERIES[folder]}
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Rows", "Columns"):
        assert len({ds[name].value for ds in slices}) == 1
    assert len({ds.SOPInstanceUID for ds in slices}) == len(slices)
    assert all(ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID and ds.SOPInstanceUID.is_valid for ds in slices)
    positions = np.array([ds.ImagePositionPatient for ds in slices], dtype=float)
    steps = np.diff(positions, axis=0)
    row, column, step = numbers(spacing)
    assert np.allclose(steps, [0, 0, step], atol=1e-6) and float(first.SliceThickness) == step
    for ds in slices:
        assert ds.ImageOrientationPatient == [1, 0, 0, 0, 1, 0] and ds.PixelSpacing == [row, column]


def test_ct_is_in_hounsfield_units() -> None:
    slices = read_slices("ct_lung_dicom")
    assert {(ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType) for ds in slices} == {(1, -1024, "HU")}
    hu = np.stack([ds.pixel_array for ds in slices]).astype(int) - 1024
    middle = hu[len(hu) // 2]
    assert -1024 <= hu.min() < -950 and hu.max() > 800  # air and bone
    assert -950 < np.median(hu[(hu > -970) & (hu < -500)]) < -800  # lung
    assert 0 < np.median(hu[(hu > -50) & (hu < 200)]) < 80  # muscle and blood
    assert (middle[0] < -500).mean() > 0.9 > (middle[60] < -500).mean()  # air in front of the chest, the chest behind


def test_mr_is_a_head_in_dark_air() -> None:
    volume = np.stack([ds.pixel_array for ds in read_slices("mr_brain_dicom")])
    assert volume.min() >= 0 and volume.max() < 4096
    assert np.median(volume[12, 80:180, 70:160]) > 10 * np.median(volume[:, :20, :20])


@pytest.mark.parametrize("folder", SERIES)
def test_headers_hold_nothing_of_a_patient(folder: str) -> None:
    for ds in read_slices(folder):
        assert ds.PatientName == "Phantom^Sample" and ds.PatientID == f"MEDGEN-SAMPLE-{SERIES[folder]}"
        assert {e.keyword for e in ds.iterall() if e.VR == "SQ" or e.value not in ("", None)} - ALLOWED == set()
        assert not any(e.tag.is_private for e in ds.iterall())
        assert ds.preamble == b"\0" * 128


def test_phantom_is_what_the_script_makes(script: ModuleType) -> None:
    image, labels = script.phantom()
    for made, name in ((image, "phantom"), (labels, "phantom_labels")):
        stored = nib.load(ROOT / f"phantom/{name}.nii.gz")
        assert np.array_equal(np.asarray(stored.dataobj), made.array)
        assert np.allclose(stored.affine, made.affine, atol=1e-5)


def test_phantom_tells_the_truth(script: ModuleType) -> None:
    image, labels = script.phantom()
    intensity = {0: 0} | {label: value for label, value, _, _ in script.ELLIPSOIDS}
    assert np.array_equal(image.array, np.vectorize(intensity.get)(labels.array))
    turned = image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)
    assert np.allclose(turned.T @ turned, np.eye(3)) and np.isclose(np.linalg.det(turned), 1)
    assert np.sort(np.abs(turned), axis=0)[1].min() > 0.1  # oblique in every axis
    for label in (3, 4, 5, 6):  # those that nothing covers
        ((centre, half_axes),) = ((c, h) for found, _, c, h in script.ELLIPSOIDS if found == label)
        voxels = np.argwhere(labels.array == label)
        assert np.isclose(len(voxels) * 1.25 * 1.5 * 2, 4 / 3 * np.pi * np.prod(half_axes), rtol=0.15)  # few voxels
        world = turned @ np.array(centre) + [4, -6, 10]
        assert np.linalg.norm((image.affine @ [*voxels.mean(axis=0), 1])[:3] - world) < 0.5


def test_crop_and_average_keep_every_point_in_its_place(script: ModuleType) -> None:
    affine = script.phantom()[0].affine
    indices = np.indices((12, 9, 4)).reshape(3, -1)
    world = (affine @ np.vstack([indices, np.ones(indices.shape[1])]))[0].reshape(12, 9, 4)
    volume = script.Volume(world * 1000, affine).crop(slice(3, 12), slice(0, 9), slice(1, 4)).average_in_plane(3)
    assert volume.array.shape == (3, 3, 3)  # and each voxel still holds 1000 x of its own centre
    for index in np.ndindex(3, 3, 3):
        assert abs(volume.array[index] - 1000 * (volume.affine @ [*index, 1])[0]) <= 0.5


def test_wrong_volumes_and_packages_are_refused(script: ModuleType, tmp_path: Path) -> None:
    volume = script.Volume(np.zeros((4, 4, 2), np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="multiple of 3"):
        volume.average_in_plane(3)
    with pytest.raises(ValueError, match="12 bits"):
        script.write_dicom(tmp_path / "a", script.Volume(volume.array - 2000, volume.affine), "CT", "")
    with pytest.raises(ValueError, match="axes"):
        script.write_dicom(tmp_path / "b", script.Volume(volume.array, np.eye(4)), "CT", "")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/slice_003.dcm").touch()
    with pytest.raises(ValueError, match="slice_003.dcm is not of this series"):
        script.write_dicom(tmp_path / "c", volume, "MR", "")
    (tmp_path / "nilearn==0.14.1").mkdir()
    (tmp_path / "nilearn==0.14.1/nilearn.whl").write_bytes(b"other")
    with pytest.raises(ValueError, match="do not use it"):
        script.fetch(script.NILEARN, "x", tmp_path)
