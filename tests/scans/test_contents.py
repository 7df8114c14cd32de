from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medgen.scans import find, read
from medgen.scans.contents import content, files_of, state

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


def written(folder: Path, kind: str) -> Path:
    """Write one scan of a kind into a folder."""
    folder.mkdir()
    array = np.random.RandomState(0).rayleigh(100, (6, 5, 4)).astype(np.int16)
    if kind == "dicom":
        shutil.copytree(SAMPLES / "ct_lung_dicom", folder / "series")
    elif kind == "nii.gz":
        nib.save(nib.Nifti1Image(array, np.eye(4)), folder / "a.nii.gz")
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / f"a.{kind}"))
    return folder


@pytest.mark.parametrize("kind", ["dicom", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
def test_the_content_is_what_reading_hashes(kind: str, tmp_path: Path) -> None:
    (case,) = find(written(tmp_path / "in", kind)).cases
    assert content(files_of(case)) == read(case).sha256
    assert {path for path in (tmp_path / "in").rglob("*") if path.is_file()} == set(files_of(case))


def test_the_state_changes_with_any_change_and_not_without(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    before = state([path])
    assert before and state([path]) == before
    about = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # the same size and time: what a clock that jumped may give
    assert state([path]) != before
    path.unlink()
    assert state([path]) == "" and content([path]) == ""
