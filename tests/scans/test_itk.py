"""NRRD and MetaImage are read right or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medgen.scans import ScanError
from medgen.scans.itk import read_itk
from tests.scans.phantoms import assert_phantom, field, itk_image, nifti_affine, turned

SHAPE = (4, 5, 6)
OBLIQUE = nifti_affine(turned(25, -17, 40), flips=(1, -1, 1))


def save(image: sitk.Image, path: Path, compressed: bool = False) -> Path:
    sitk.WriteImage(image, str(path), compressed)
    return path


@pytest.mark.parametrize("affine", [nifti_affine(), OBLIQUE], ids=["plain", "oblique"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
def test_geometry(name: str, compressed: bool, affine: np.ndarray, tmp_path: Path) -> None:
    scan = read_itk(save(itk_image(affine), tmp_path / name, compressed))
    assert_phantom(scan, affine, SHAPE, tolerance=1e-3)
    assert (scan.units, scan.modality, scan.dtype) == ("arbitrary", "", np.float32)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_stored_type(dtype: str, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(120).reshape(SHAPE).astype(dtype))
    scan = read_itk(save(image, tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(scan.image[0].numpy(), np.arange(120).reshape(SHAPE).T)
    assert scan.dtype == np.dtype(dtype)


@pytest.mark.parametrize("space, flips", [("right-anterior-superior", (-1, -1, 1)), ("LAS", (1, -1, 1)), ("LPS", (1, 1, 1))])
def test_every_anatomical_space_of_nrrd(space: str, flips: tuple[int, ...], tmp_path: Path) -> None:
    path = save(itk_image(OBLIQUE), tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(b"left-posterior-superior", space.encode()))
    expected = np.diag([*flips, 1]) @ OBLIQUE  # the same numbers, said of other axes
    np.testing.assert_allclose(read_itk(path).image.affine.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("pattern", [rb"(?<=space: )left-posterior-superior", rb"space[^\n]*: [^\n]*\n"])
def test_a_nrrd_without_anatomical_space_is_refused(pattern: bytes, tmp_path: Path) -> None:
    path = save(itk_image(OBLIQUE), tmp_path / "a.nrrd")
    path.write_bytes(re.sub(pattern, b"scanner-xyz" if b"?<=" in pattern else b"", path.read_bytes()))
    with pytest.raises(ScanError, match="no orientation"):
        read_itk(path)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
def test_the_hash_is_of_the_voxels_too(name: str, tmp_path: Path) -> None:
    one = read_itk(save(itk_image(nifti_affine()), tmp_path / name))
    two = read_itk(save(itk_image(nifti_affine()) + 1, tmp_path / name))
    assert one.sha256 != two.sha256 and len(one.sha256) == 64


def values(array: np.ndarray, vector: bool = False) -> Callable[[Path], Path]:
    return lambda path: save(sitk.GetImageFromArray(array, isVector=vector), path)


NAN = np.where(np.arange(6) == 3, np.nan, field(nifti_affine(), SHAPE)).astype(np.float32)
REFUSED = {
    "vector": (values(np.zeros((*SHAPE, 3), np.float32), vector=True), "several values a voxel"),
    "complex": (values(np.zeros(SHAPE, np.complex64)), "several values a voxel|complex"),
    "2D": (values(np.zeros((4, 5), np.float32)), "not a volume: shape 5x4"),
    "one slice": (values(np.zeros((1, 4, 5), np.float32)), "not a volume: shape 5x4x1"),
    "4D": (values(np.zeros((2, *SHAPE), np.float32)), "not a volume: shape 6x5x4x2"),
    "NaN": (values(NAN), "NaN"),
}


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("write, reason", REFUSED.values(), ids=REFUSED)
def test_refused(write: Callable[[Path], Path], reason: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=reason) as caught:
        read_itk(write(tmp_path / name))
    assert caught.value.path == str(tmp_path / name) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", [b"TransformMatrix = 1 0 0 0.3 0.95 0 0 0 1", b"ElementSpacing = 0 1 1", b"ElementDataFile = LIST"]
)
def test_an_unsound_header_is_refused(line: bytes, tmp_path: Path) -> None:
    path = save(itk_image(nifti_affine()), tmp_path / "a.mha")
    path.write_bytes(re.sub(line.split()[0] + rb" = [^\n]*", line, path.read_bytes(), count=1))
    with pytest.raises(ScanError):
        read_itk(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_no_place_to_cut_a_file_short_goes_unseen(name: str, compressed: bool, tmp_path: Path) -> None:
    path = save(itk_image(nifti_affine()), tmp_path / name, compressed)
    whole = path.read_bytes()
    for keep in [*range(0, len(whole), 29), len(whole) - 2, len(whole) - 1]:
        path.write_bytes(whole[:keep])
        with pytest.raises(ScanError):
            read_itk(path)


@pytest.mark.parametrize("name, voxels", [("a.nrrd", "a.nrrd"), ("a.mha", "a.mha"), ("a.mhd", "a.zraw")])
def test_a_wrong_checksum_is_refused(name: str, voxels: str, tmp_path: Path) -> None:
    path = save(itk_image(nifti_affine()), tmp_path / name, compressed=True)
    content = bytearray((tmp_path / voxels).read_bytes())
    content[-1 if name != "a.nrrd" else -6] ^= 1  # Adler-32 ends zlib, CRC32 and the size end gzip
    (tmp_path / voxels).write_bytes(content)
    with pytest.raises(ScanError, match="compression is broken|not a readable"):  # ITK sees some by itself
        read_itk(path)


def test_a_header_without_its_voxels_is_refused(tmp_path: Path) -> None:
    path = save(itk_image(nifti_affine()), tmp_path / "a.mhd")
    (tmp_path / "a.raw").unlink()
    with pytest.raises(ScanError, match="not a readable"):
        read_itk(path)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_what_is_absent_or_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="cannot be read"):
        read_itk(tmp_path / name)
    (tmp_path / name).write_bytes(b"neither NRRD nor MetaImage")
    with pytest.raises(ScanError, match="not a readable NRRD or MetaImage file"):
        read_itk(tmp_path / name)
