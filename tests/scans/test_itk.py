"""NRRD and MetaImage are read right or refused."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medgen.scans import ScanError
from medgen.scans.itk import read_itk
from medgen.scans.scan import Reading
from tests.scans.corpus_itk import ENTRIES, meta_header, nrrd_header, numbers
from tests.scans.hostile import costs_of_refusing
from tests.scans.phantoms import OBLIQUE, PLAIN, RAS, assert_phantom, itk_image, nifti_affine, turned

SHAPE = (4, 5, 6)
SHARED = Path(os.environ.get("MEDGEN_SHARED") or Path(__file__).parents[2].parent / "shared/data")


def save(image: sitk.Image, path: Path, compressed: bool = False) -> Path:
    sitk.WriteImage(image, str(path), compressed)
    return path


@pytest.mark.parametrize("affine", [PLAIN, OBLIQUE], ids=["plain", "oblique"])
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


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    flip=st.sampled_from([-1, 1]),
    array=st.sampled_from(["u1", "i2", "u4", "f4", "f8"]).flatmap(
        lambda dtype: hnp.arrays(dtype, st.tuples(*[st.integers(1, 20)] * 3), elements={"min_value": 0, "max_value": 200})
    ),
    name=st.sampled_from(["a.nrrd", "a.mha", "a.mhd"]),
    compressed=st.booleans(),
)
def test_as_itk_writes_and_reads_it(
    angles: tuple[float, ...], spacing: tuple[float, ...], flip: int, array: np.ndarray, name: str, compressed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    image = sitk.GetImageFromArray(array)
    image.SetDirection((turned(*angles) * [flip, 1, 1]).ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin((-3.5, 100.25, 1e3))
    path = save(image, tmp_path_factory.mktemp("any") / name, compressed)
    scan, again = read_itk(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(scan.image[0].numpy(), array.T.astype(np.float32))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(again.GetDirection(), (3, 3)) * again.GetSpacing()
    affine[:3, 3] = again.GetOrigin()
    np.testing.assert_allclose(scan.image.affine.numpy(), RAS @ affine, atol=1e-4)
    assert scan.dtype == array.dtype


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
def test_the_hash_is_of_the_voxels_too(name: str, tmp_path: Path) -> None:
    one = read_itk(save(itk_image(nifti_affine()), tmp_path / name))
    two = read_itk(save(itk_image(nifti_affine()) + 1, tmp_path / name))
    assert one.sha256 != two.sha256 and len(one.sha256) == 64


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


def test_hostile_headers_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    folders = {name: tmp_path / str(k) for k, name in enumerate(ENTRIES) if "bomb" in name or "32767" in name or "without end" in name}
    for name, folder in folders.items():
        ENTRIES[name].make(folder)
    costs = dict(zip(folders, costs_of_refusing(folders.values()), strict=True))
    assert len(costs) >= 5 and all(megabytes < 100 and seconds < 5 for megabytes, seconds in costs.values()), costs


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("bzip2", bz2.compress)])
def test_an_image_of_air_is_read(encoding: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    header = nrrd_header(encoding=encoding, type="uchar", sizes="256 256 100", endian=None)
    (tmp_path / "a.nrrd").write_bytes(header + b"\n" + pack(bytes(256 * 256 * 100)))
    scan = read_itk(tmp_path / "a.nrrd")
    assert scan.image.shape == (1, 256, 256, 100) and not scan.image.any() and not scan.warnings


HEADERS = {
    "raw.nrrd": nrrd_header(space_units='"mm" "mm" "mm"') + b"\n" + numbers(),
    "text.nrrd": nrrd_header(encoding="text") + b"\n" + b"1 " * 120,
    "zlib.mha": meta_header(CompressedData="True", AnatomicalOrientation="LPI") + zlib.compress(numbers()),
}
WORDS = ["nan", "inf", "-1", "0", "1e400", "9" * 30, "none", "(", "()", "", "\n", ": ", "= ", "LIST", "%d 1 2", "\0", "True", "1.5", "²"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(HEADERS)), data=st.data())
def test_a_damaged_header_is_an_error_or_a_scan_but_never_a_crash(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = HEADERS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        places = [match.span() for match in re.finditer(rb"[^\s:=,()]+", content[:400])]
        begin, end = data.draw(st.sampled_from(places))
        content = content[:begin] + data.draw(st.sampled_from(WORDS)).encode() + content[end:]
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(content)
    for permissive in (False, True):
        with contextlib.suppress(ScanError):
            assert np.isfinite(read_itk(path, Reading(permissive, four_d=True)).image.affine).all()


def test_a_detached_nrrd(tmp_path: Path) -> None:
    header = nrrd_header(data_file="a.raw.gz", encoding="gzip")
    (tmp_path / "a.nhdr").write_bytes(header)
    (tmp_path / "a.raw.gz").write_bytes(gzip.compress(numbers()))
    scan = read_itk(tmp_path / "a.nhdr")
    assert_phantom(scan, nifti_affine(), SHAPE, tolerance=1e-3)
    assert scan.sha256 == hashlib.sha256(header + (tmp_path / "a.raw.gz").read_bytes()).hexdigest()


def test_a_real_meta_image() -> None:
    path = SHARED / "dev/ct/elastix_3DCT_lung_baseline.mha"
    if not path.exists():
        pytest.skip("the real scans are not here")
    scan, image = read_itk(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(scan.image[0].numpy(), sitk.GetArrayFromImage(image).T)
    np.testing.assert_allclose(scan.spacing, image.GetSpacing())
    np.testing.assert_allclose(scan.image.affine.numpy()[:3, 3], np.array(image.GetOrigin()) * [-1, -1, 1])
    assert scan.dtype == np.int16 and not scan.warnings


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_what_is_absent_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="cannot be read"):
        read_itk(tmp_path / name)
