"""MONAI's LoadImaged with ScanReader reads what `read` reads."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImaged

from medgen.scans import ScanError, read
from medgen.scans.monai_io import ScanReader
from tests.scans.phantoms import ORIENTATIONS, field, itk_image, nifti_affine, nifti_image, save_series, series, turned

AFFINE = nifti_affine(turned(25, -17, 40), flips=(1, -1, 1))


@pytest.fixture(params=["dicom", "a.nii.gz", "a.nrrd", "a.mha"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    if path.name == "dicom":
        save_series(series(ORIENTATIONS["double oblique"])[::-1], path)
    elif path.suffix == ".gz":
        nib.save(nifti_image(AFFINE), path)
    else:
        sitk.WriteImage(itk_image(AFFINE), str(path))
    return path


@pytest.mark.parametrize("reader", [ScanReader, ScanReader()], ids=["class", "instance"])
def test_array_and_affine_are_those_of_read(reader: ScanReader | type[ScanReader], path: Path) -> None:
    load = LoadImaged("image", reader=reader, ensure_channel_first=True, image_only=True)
    image = load({"image": str(path)})["image"]
    scan = read(path)
    assert image.shape == scan.image.shape
    np.testing.assert_array_equal(image.numpy(), scan.image.numpy())
    np.testing.assert_array_equal(image.affine.numpy(), scan.image.affine.numpy())
    np.testing.assert_array_equal(image.meta["original_affine"], scan.image.affine.numpy())
    np.testing.assert_allclose(image[0].numpy(), field(image.affine.numpy(), image.shape[1:]), atol=0.03)
    assert image.meta["filename_or_obj"] == str(path)


def test_two_images_of_one_item_keep_their_own_values(tmp_path: Path) -> None:
    nib.save(nifti_image(AFFINE), tmp_path / "a.nii")
    nib.save(nifti_image(nifti_affine()), tmp_path / "b.nii")
    item = LoadImaged(["a", "b"], reader=ScanReader)({"a": tmp_path / "a.nii", "b": tmp_path / "b.nii"})
    for key in "ab":
        np.testing.assert_allclose(item[key].numpy(), field(item[key].affine.numpy(), (4, 5, 6)), atol=1e-3)
    assert not np.allclose(item["a"].affine, item["b"].affine)


def test_an_unsound_scan_stops_the_transform(tmp_path: Path) -> None:
    save_series([ds for z, ds in enumerate(series()) if z != 2], tmp_path / "dicom")
    load = LoadImaged("image", reader=ScanReader)
    with pytest.raises(ScanError, match=r"1 slice\(s\) missing"):  # and is not left to MONAI's own readers
        load({"image": tmp_path / "dicom"})
    with pytest.raises(ScanError, match="no such file"):
        load({"image": tmp_path / "absent.nii"})


def test_several_paths_are_not_one_scan(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii"):
        nib.save(nifti_image(AFFINE), tmp_path / name)
    with pytest.raises(ScanError, match="one of 2 paths"):
        LoadImaged("image", reader=ScanReader)({"image": [tmp_path / "a.nii", tmp_path / "b.nii"]})
