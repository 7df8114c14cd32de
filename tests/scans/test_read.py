"""One door for all formats: a path with exactly one scan, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medgen.scans import ScanError, find, read
from tests.scans.corpus_nifti import patch
from tests.scans.phantoms import assert_phantom, field, itk_image, nifti_affine, nifti_image, save_series, series

AFFINE = nifti_affine(flips=(1, -1, 1))
WRITERS: dict[str, Callable[[Path], object]] = {
    "a.nii": lambda path: nib.save(nifti_image(AFFINE), path),
    "a.nii.gz": lambda path: nib.save(nifti_image(AFFINE), path),
    "a.nrrd": lambda path: sitk.WriteImage(itk_image(AFFINE), str(path)),
    "a.mha": lambda path: sitk.WriteImage(itk_image(AFFINE), str(path)),
    "a.mhd": lambda path: sitk.WriteImage(itk_image(AFFINE), str(path)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_its_folder_and_its_case_give_the_same(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    (case,), _, _ = find(tmp_path)
    for place in (tmp_path / name, tmp_path, case):
        scan = read(place)
        assert_phantom(scan, AFFINE, (4, 5, 6), tolerance=1e-3)
        assert scan.source == tmp_path / name


def test_a_folder_with_two_scans_is_refused_and_names_them(tmp_path: Path) -> None:
    for name in ("one.nii", "two.nii"):
        nib.save(nifti_image(AFFINE), tmp_path / name)
    with pytest.raises(ScanError, match=r"holds 2 scans \(one, two\)"):
        read(tmp_path)


def test_one_slice_is_not_its_series(tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    assert read(tmp_path).source == tmp_path
    with pytest.raises(ScanError, match="only slice"):
        read(files[0])


@pytest.mark.parametrize("name, reason", [("absent", "no such file"), ("empty", "holds no scans"), ("a.txt", "not a scan")])
def test_a_path_without_scans_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(ScanError, match=reason):
        read(tmp_path / name)


def test_what_is_asked_for_reaches_the_reader(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.stack([field(AFFINE, (4, 5, 6))] * 2, axis=-1).astype(np.float32), AFFINE)
    (tmp_path / "a.nii").write_bytes(patch(252, "2h", 0, 0)(image.to_bytes()))
    (case,) = find(tmp_path).cases
    for place in (tmp_path, case):
        with pytest.raises(ScanError, match="4D"):
            read(place, permissive=True)
        with pytest.raises(ScanError, match="no orientation.* use --permissive"):
            read(place, four_d=True)
        scan = read(place, permissive=True, four_d=True)
        assert scan.image.shape == (2, 4, 5, 6) and "no orientation" in scan.warnings[0]
        assert [len(volume.image) for volume in scan.volumes()] == [1, 1]


@pytest.mark.parametrize("name", [*WRITERS, "a.dcm"])
def test_a_corrupt_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b" + b"\x00\xff" * 400)
    with pytest.raises(ScanError) as caught:
        read(tmp_path / name)
    assert caught.value.path == str(tmp_path / name) and "\n" not in str(caught.value)
