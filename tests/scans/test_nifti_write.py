"""NIfTI is written whole or not at all, and comes back as it was."""

from __future__ import annotations

import gzip
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.data import MetaTensor

from medgen.scans import Scan, ScanError, find, write_nifti
from medgen.scans.nifti import read_nifti
from medgen.scans.nifti_write import write_field
from medgen.scans.scan import Reading
from tests.scans.phantoms import RAS, field, nifti_affine, turned
from tests.scans.test_nifti import AFFINES

SHAPE = (4, 5, 6)


def scan_on(affine: np.ndarray, dtype: Any = np.float32, shape: tuple[int, ...] = SHAPE) -> Scan:
    values = torch.from_numpy(field(affine, shape).astype(np.float32))[None]
    return Scan(MetaTensor(values, affine=torch.from_numpy(affine)), "HU", "CT", np.dtype(dtype), Path("in.nii"), "0" * 64)


@pytest.mark.parametrize("name", AFFINES)
def test_what_others_read(name: str, tmp_path: Path) -> None:
    path, array = tmp_path / "new/folder/a.nii.gz", np.random.default_rng(0).integers(0, 200, SHAPE)
    write_nifti(path, array, scan_on(AFFINES[name], np.int16))
    image, itk = nib.load(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(np.asarray(image.dataobj), array)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(itk).T, array)
    np.testing.assert_allclose(image.affine, AFFINES[name], atol=1e-5)
    np.testing.assert_allclose(image.header.get_qform(), AFFINES[name], atol=1e-4)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(itk.GetDirection(), (3, 3)) * itk.GetSpacing()
    affine[:3, 3] = itk.GetOrigin()
    np.testing.assert_allclose(RAS @ affine, AFFINES[name], atol=1e-3)
    assert image.get_data_dtype() == np.int16 and image.header.get_slope_inter() == (None, None)


DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


@st.composite
def arrays(draw: st.DrawFn, axes: int = 3) -> np.ndarray:
    """Return whole numbers that float32 and the type hold, of any shape."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    low, high = (0, 2**24) if dtype.kind == "u" else (-(2**24), 2**24)
    if dtype.kind in "iu":
        low, high = max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max)
    shape = draw(st.tuples(*[st.integers(1, 6)] * axes))
    return draw(hnp.arrays(np.int64, shape, elements=st.integers(low, high))).astype(dtype)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Return any right-angled grid: turned, its axes swapped and flipped."""
    affine = np.eye(4)
    affine[:3, :3] = turned(*draw(st.tuples(*[st.floats(-180, 180)] * 3))) * draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    affine[:3, :3] *= draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine[:, [*draw(st.permutations(range(3))), 3]]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    array=arrays() | arrays(axes=4), affine=affines(), suffix=st.sampled_from([".nii", ".nii.gz"]),
    codes=st.sampled_from([(1, 1), (4, 0), (0, 1), (2, 1)]),
)
def test_any_array_on_any_grid_comes_back(
    array: np.ndarray, affine: np.ndarray, suffix: str, codes: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    whole = array if array.ndim == 4 else array[None]
    like = replace(scan_on(affine, array.dtype, whole.shape[1:]), codes=codes)
    like = replace(like, image=MetaTensor(torch.from_numpy(whole.astype(np.float32)), affine=like.image.affine))
    write_nifti(path, whole if len(whole) > 1 else whole[0], like)
    again = read_nifti(path, Reading(four_d=True))
    np.testing.assert_array_equal(again.image.numpy(), whole.astype(np.float32))
    np.testing.assert_allclose(again.image.affine.numpy(), affine, atol=2e-3)  # a qform alone has the angles of float32
    assert (again.dtype, again.codes, again.warnings) == (array.dtype, codes, ())
    assert nib.load(path).header.get_xyzt_units()[0] == "mm"


def test_a_4d_scan_is_written_as_4d_and_its_mean_as_3d(tmp_path: Path) -> None:
    like = scan_on(nifti_affine())
    like = replace(like, image=MetaTensor(torch.rand(3, *SHAPE), affine=like.image.affine))
    write_nifti(tmp_path / "four.nii", like.image.numpy(), like)
    write_nifti(tmp_path / "mean.nii", like.image.mean(0).numpy(), like)
    assert nib.load(tmp_path / "four.nii").shape == (*SHAPE, 3)
    np.testing.assert_array_equal(nib.load(tmp_path / "four.nii").dataobj[..., 2], like.image[2].numpy())
    assert nib.load(tmp_path / "mean.nii").shape == SHAPE
    with pytest.raises(ScanError, match="shape"):
        write_nifti(tmp_path / "two.nii", like.image[:2].numpy(), like)


def test_an_axis_too_long_for_nifti_1(tmp_path: Path) -> None:
    like = scan_on(nifti_affine(), shape=(40_000, 2, 1))
    write_nifti(tmp_path / "a.nii", like.image[0].numpy(), like)
    assert isinstance(nib.load(tmp_path / "a.nii"), nib.Nifti2Image)
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii").image.numpy(), like.image.numpy())


def test_a_process_that_is_killed_leaves_no_half_file_in_its_place(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading, time; import numpy as np; from pathlib import Path\n"
        "from medgen.scans import read, write_nifti\n"
        "like = read(Path(sys.argv[1]))\n"
        "def kill():\n"
        "    while not list(Path(sys.argv[2]).glob('.part_*')): time.sleep(0.001)\n"
        "    os._exit(9)\n"
        "threading.Thread(target=kill).start()\n"
        "write_nifti(Path(sys.argv[2]) / 'a.nii.gz', np.random.default_rng(0).normal(size=like.image.shape[1:]), like)\n"
    )
    (tmp_path / "out").mkdir()
    nib.save(nib.Nifti1Image(np.zeros((200, 200, 100), np.float32), nifti_affine()), tmp_path / "in.nii.gz")
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "in.nii.gz"), str(tmp_path / "out")], check=False)
    assert run.returncode == 9 and not (tmp_path / "out/a.nii.gz").exists()
    assert not find(tmp_path / "out").cases  # what a crash leaves is hidden, and no scan


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4"])
def test_whole_types_are_rounded_and_clipped(dtype: str, tmp_path: Path) -> None:
    array = np.zeros(SHAPE, np.float32)
    array[0, 0, :5] = -1e12, 1e12, 1.4, 1.6, 100
    write_nifti(tmp_path / "a.nii", array, scan_on(nifti_affine()), dtype=np.dtype(dtype))
    low, high, down, up, same = np.asarray(nib.load(tmp_path / "a.nii").dataobj)[0, 0, :5].tolist()
    limits = np.iinfo(dtype)
    assert (low, down, up, same) == (limits.min, 1, 2, 100)
    assert limits.max * (1 - 1e-7) <= high <= limits.max  # float32 has 24 bits


@pytest.mark.parametrize("description", ["short", "x" * 200, "ü" * 79])
def test_the_description_keeps_79_bytes(description: str, tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", np.zeros(SHAPE), scan_on(nifti_affine()), description=description)
    assert nib.load(tmp_path / "a.nii").header["descrip"].tobytes().rstrip(b"\0") == description.encode("ascii", "replace")[:79]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_values_that_could_not_be_read_again_are_not_written(bad: float, dtype: str, tmp_path: Path) -> None:
    array = np.zeros(SHAPE, np.float32)
    array[1, 2, 3] = bad
    with pytest.raises(ScanError, match="NaN or infinite"):
        write_nifti(tmp_path / "a.nii", array, scan_on(nifti_affine(), dtype))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 7), (6, 5, 4), (1, 4, 5, 6)])
def test_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="shape"):
        write_nifti(tmp_path / "a.nii", np.zeros(shape), scan_on(nifti_affine()))
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ScanError, match="cannot be written"):
        write_nifti(tmp_path / "out/a.nii", np.zeros(SHAPE), scan_on(nifti_affine()))
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out").read_text() == "a file"


def test_a_file_that_is_there_is_replaced_not_changed(tmp_path: Path) -> None:
    path, like = tmp_path / "a.nii.gz", scan_on(nifti_affine())
    write_nifti(path, np.zeros(SHAPE), like)
    with path.open("rb") as reader:  # whoever reads the old file goes on reading the old file
        write_nifti(path, np.ones(SHAPE), like)
        old = nib.Nifti1Image.from_bytes(gzip.decompress(reader.read()))
    assert np.asarray(old.dataobj).max() == 0 and np.asarray(nib.load(path).dataobj).min() == 1
    assert [found.name for found in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_disk_that_fills_up_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path, like = tmp_path / f"a{suffix}", scan_on(nifti_affine(), shape=(20, 20, 20))
    write_nifti(path, np.zeros((20, 20, 20)), like)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).normal(size=(20, 20, 20))  # 32 kB, which no gzip makes small
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(ScanError, match="cannot be written"):
            write_nifti(path, noise, like)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.nii/inside").mkdir(parents=True)
    with pytest.raises(ScanError, match="cannot be written"):
        write_nifti(tmp_path / "a.nii", np.zeros(SHAPE), scan_on(nifti_affine()))
    assert [found.name for found in tmp_path.iterdir()] == ["a.nii"]


@pytest.mark.parametrize("name", AFFINES)
def test_a_field_is_a_vector_image_that_others_know(name: str, tmp_path: Path) -> None:
    shift = np.random.default_rng(0).normal(size=(*SHAPE, 3)).astype(np.float32)
    write_field(tmp_path / "f.nii.gz", shift, scan_on(AFFINES[name]), description="SYNTHETIC")
    image, itk = nib.load(tmp_path / "f.nii.gz"), sitk.ReadImage(str(tmp_path / "f.nii.gz"))
    assert image.shape == (*SHAPE, 1, 3) and image.header.get_intent("code")[0] == 1007
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, :, 0], shift)
    np.testing.assert_allclose(image.affine, AFFINES[name], atol=1e-4)
    assert itk.GetNumberOfComponentsPerPixel() == 3 and itk.GetSize() == SHAPE
    with pytest.raises(ScanError, match="no field of finite values"):
        write_field(tmp_path / "g.nii.gz", shift[:2], scan_on(AFFINES[name]))
    with pytest.raises(ScanError, match="no field of finite values"):
        write_field(tmp_path / "g.nii.gz", shift * np.nan, scan_on(AFFINES[name]))
    assert not (tmp_path / "g.nii.gz").exists()
