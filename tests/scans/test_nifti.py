"""NIfTI is read right or refused, and written whole or not at all."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.data import MetaTensor

from medgen.scans import Scan, ScanError, write_nifti
from medgen.scans.nifti import read_nifti
from tests.scans.phantoms import assert_phantom, field, nifti_affine, nifti_image, turned

SHAPE = (4, 5, 6)
OTHER = np.array([[2.0, 0, 0, 9], [0, 3, 0, 9], [0, 0, 4, 9], [0, 0, 0, 1]])
AFFINES = {
    "plain": nifti_affine(),
    "flipped": nifti_affine(flips=(-1, 1, 1)),
    "all flipped": nifti_affine(flips=(-1, -1, -1)),
    "swapped": nifti_affine()[:, [2, 0, 1, 3]],
    "oblique": nifti_affine(turned(x=25)),
    "double oblique, flipped": nifti_affine(turned(25, -17, 40), flips=(1, -1, 1)),
}


def save(image: nib.Nifti1Image, path: Path) -> Path:
    nib.save(image, path)
    return path


def patched(path: Path, offset: int, form: str, *values: float) -> Path:
    """Overwrite header fields of a little-endian NIfTI-1 file, as `struct` packs them."""
    content = bytearray(path.read_bytes())
    struct.pack_into(f"<{form}", content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 1), (4, 3)])
@pytest.mark.parametrize("name", AFFINES)
def test_geometry(name: str, codes: tuple[int, int], kind: type, suffix: str, tmp_path: Path) -> None:
    image = nifti_image(AFFINES[name], kind=kind, sform=codes[0], qform=codes[1])
    scan = read_nifti(save(image, tmp_path / f"a{suffix}"))
    assert_phantom(scan, AFFINES[name], SHAPE, tolerance=1e-3)
    assert (scan.units, scan.modality) == ("arbitrary", "")


def test_the_sform_goes_before_the_qform(tmp_path: Path) -> None:
    image = nifti_image(AFFINES["oblique"])
    image.set_qform(OTHER, code=1)
    assert_phantom(read_nifti(save(image, tmp_path / "a.nii")), AFFINES["oblique"], SHAPE, tolerance=1e-3)


def test_a_form_with_code_zero_does_not_count(tmp_path: Path) -> None:
    image = nifti_image(AFFINES["oblique"])
    image.set_sform(OTHER, code=0)
    assert_phantom(read_nifti(save(image, tmp_path / "a.nii")), AFFINES["oblique"], SHAPE, tolerance=1e-3)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_big_endian(kind: type[nib.Nifti1Image], tmp_path: Path) -> None:
    image = nifti_image(nifti_affine(), dtype=np.int16, kind=kind)
    swapped = kind(np.asarray(image.dataobj), image.affine, header=image.header.as_byteswapped(">"))
    assert swapped.header.endianness == ">"
    scan = read_nifti(save(swapped, tmp_path / "a.nii"))
    assert_phantom(scan, nifti_affine(), SHAPE, tolerance=0)
    assert scan.dtype == np.int16 and scan.dtype.isnative


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_stored_type(dtype: str, tmp_path: Path) -> None:
    affine = nifti_affine(flips=(1, 1, 1))
    affine[:3, 3] = -20, -10, -10  # so that all values fit a byte
    scan = read_nifti(save(nifti_image(affine, dtype=np.dtype(dtype)), tmp_path / "a.nii"))
    assert_phantom(scan, affine, SHAPE, tolerance=0)
    assert scan.image.dtype == torch.float32 and scan.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype, slope, inter", [("u1", 0.5, 60.0), ("i2", 0.01, 0.0), ("u2", 2.0, -900.0), ("f4", 3.0, 1.0)])
def test_scl_slope_and_inter(dtype: str, slope: float, inter: float, tmp_path: Path) -> None:
    stored = (field(nifti_affine(), SHAPE) - inter) / slope
    stored = np.rint(stored) if dtype[0] in "iu" else stored
    image = nib.Nifti1Image(stored.astype(dtype), nifti_affine())
    image.header.set_slope_inter(slope, inter)
    scan = read_nifti(save(image, tmp_path / "a.nii"))
    assert_phantom(scan, nifti_affine(), SHAPE, tolerance=slope / 2 + 1e-3)
    assert scan.dtype == np.float32  # the scaled values do not fit what was stored


@pytest.mark.parametrize("unit, millimetres", [("mm", 1.0), ("meter", 1000.0), ("micron", 0.001), ("unknown", 1.0)])
@pytest.mark.parametrize("codes", [(1, 1), (0, 1)])
def test_units_of_length(unit: str, millimetres: float, codes: tuple[int, int], tmp_path: Path) -> None:
    image = nifti_image(nifti_affine(), sform=codes[0], qform=codes[1])
    inside = np.diag([1 / millimetres] * 3 + [1]) @ nifti_affine()
    image.set_sform(inside, code=codes[0])
    image.set_qform(inside, code=codes[1])
    image.header.set_xyzt_units(unit, "sec")
    assert_phantom(read_nifti(save(image, tmp_path / "a.nii")), nifti_affine(), SHAPE, tolerance=1e-3)


@pytest.mark.parametrize("more", [(1,), (1, 1), (1, 1, 1, 1)])
def test_trailing_axes_of_one_are_dropped(more: tuple[int, ...], tmp_path: Path) -> None:
    image = nib.Nifti1Image(field(nifti_affine(), SHAPE).astype(np.float32).reshape(SHAPE + more), nifti_affine())
    assert_phantom(read_nifti(save(image, tmp_path / "a.nii")), nifti_affine(), SHAPE, tolerance=1e-3)


def test_a_broken_qform_does_no_harm_beside_a_sform(tmp_path: Path) -> None:
    path = patched(save(nifti_image(nifti_affine()), tmp_path / "a.nii"), 256, "3f", 3, 3, 3)
    assert_phantom(read_nifti(path), nifti_affine(), SHAPE, tolerance=1e-3)


def with_values(values: Any, dtype: Any) -> Callable[[Path], Path]:
    """Save other voxels on the phantom's grid."""
    return lambda path: save(nib.Nifti1Image(np.asarray(values, dtype=dtype), nifti_affine()), path)


def with_header(offset: int, form: str, *values: float, codes: tuple[int, int] = (1, 1)) -> Callable[[Path], Path]:
    """Save the phantom, then overwrite header fields."""
    return lambda path: patched(
        save(nifti_image(nifti_affine(), sform=codes[0], qform=codes[1]), path), offset, form, *values
    )


def sheared(path: Path) -> Path:
    image = nifti_image(nifti_affine())
    image.set_sform(nifti_affine() @ np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), code=1)
    return save(image, path)


def disagreeing(path: Path) -> Path:
    image = nifti_image(nifti_affine())
    image.set_sform(np.diag([-1, 1, 1, 1]) @ nifti_affine(), code=1)
    return save(image, path)


def cut(keep: Callable[[int], int]) -> Callable[[Path], Path]:
    """Save the phantom, then keep only so many of its bytes."""

    def write(path: Path) -> Path:
        content = save(nifti_image(nifti_affine()), path).read_bytes()
        path.write_bytes(content[: keep(len(content))])
        return path

    return write


def header_alone(path: Path) -> Path:
    nib.save(nib.Nifti1Pair(np.zeros(SHAPE, np.float32), nifti_affine()), path.with_suffix(".hdr"))
    return path.with_suffix(".hdr")


def text(path: Path) -> Path:
    path.write_bytes(b"no NIfTI at all " * 100)
    return path


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no orientation": (with_header(252, "2h", 0, 0), "no orientation"),
    "4D": (with_values(np.zeros((*SHAPE, 3)), np.float32), "3 volumes"),
    "2D": (with_values(np.zeros((4, 5)), np.float32), "2D image of shape 4x5"),
    "one slice": (with_values(np.zeros((4, 5, 1)), np.float32), "2D image of shape 4x5x1"),
    "RGB": (lambda path: save(nib.Nifti1Image(np.zeros(SHAPE, RGB), nifti_affine()), path), "colours"),
    "complex": (with_values(np.zeros(SHAPE), np.complex64), "complex"),
    "NaN": (with_values(np.full(SHAPE, np.nan), np.float32), "NaN"),
    "infinite": (with_values(np.where(np.arange(6) == 3, np.inf, np.zeros(SHAPE)), np.float32), "NaN or infinite"),
    "one byte short": (cut(lambda size: size - 1), "truncated"),
    "no voxels": (cut(lambda size: 352), "truncated"),
    "half a header": (cut(lambda size: 200), "not a NIfTI"),
    "empty": (cut(lambda size: 0), "not a NIfTI"),
    "text": (text, "not a NIfTI"),
    "sheared": (sheared, "sheared"),
    "zero voxel size in the sform": (with_header(280, "4f", 0, 0, 0, 0), "voxel size is zero"),
    "zero voxel size in the qform": (with_header(84, "f", 0, codes=(0, 1)), "voxel size is zero"),
    "negative voxel size in the qform": (with_header(84, "f", -2, codes=(0, 1)), r"orientation \(qform\) is broken"),
    "affine not a number": (with_header(280, "f", np.nan), "voxel size is zero or not a number"),
    "broken quaternion": (with_header(256, "3f", 3, 3, 3, codes=(0, 1)), "broken"),
    "header without image": (header_alone, "header without its image"),
    "sform and qform disagree": (disagreeing, "disagree on left and right"),
    "unknown unit": (with_header(123, "B", 7), "unit of length"),
    "unknown type": (with_header(70, "h", 1234), "header is broken"),
    "offset inside the header": (with_header(108, "f", 0), "vox_offset"),
    "negative size": (with_header(42, "h", -4), "2D image of shape -4x5x6"),
}


@pytest.mark.parametrize("write, reason", REFUSED.values(), ids=REFUSED)
def test_refused(write: Callable[[Path], Path], reason: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii")
    with pytest.raises(ScanError, match=reason) as caught:
        read_nifti(path)
    assert str(caught.value) == f"{path}: {caught.value.reason}; {caught.value.remedy}"
    assert "\n" not in str(caught.value) and caught.value.remedy


def test_no_place_to_cut_a_gzip_short_goes_unseen(tmp_path: Path) -> None:
    path = save(nifti_image(nifti_affine()), tmp_path / "a.nii.gz")
    whole = path.read_bytes()
    for keep in range(len(whole)):
        path.write_bytes(whole[:keep])
        with pytest.raises(ScanError, match="cut short|not a NIfTI"):
            read_nifti(path)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = save(nifti_image(nifti_affine()), tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # the last 8 bytes are CRC32 and size
    path.write_bytes(content)
    with pytest.raises(ScanError, match="compression is broken"):
        read_nifti(path)


@pytest.mark.parametrize("name", ["absent.nii", "folder.nii"])
def test_what_cannot_be_opened_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(ScanError, match="cannot be read"):
        read_nifti(tmp_path / name)


def scan_on(affine: np.ndarray, dtype: Any = np.float32, shape: tuple[int, ...] = SHAPE) -> Scan:
    values = torch.from_numpy(field(affine, shape).astype(np.float32))[None]
    return Scan(MetaTensor(values, affine=torch.from_numpy(affine)), "HU", "CT", np.dtype(dtype), Path("in.nii"), "0" * 64)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", AFFINES)
def test_written_and_read_again(name: str, dtype: str, suffix: str, tmp_path: Path) -> None:
    like = scan_on(AFFINES[name], dtype)
    array = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.float32)
    path = tmp_path / f"new/folder/a{suffix}"
    write_nifti(path, array, like)
    header = nib.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm" and header.get_slope_inter() == (None, None)
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-4)
    again = read_nifti(path)
    np.testing.assert_array_equal(again.image[0].numpy(), array)
    np.testing.assert_allclose(again.image.affine.numpy(), AFFINES[name], atol=1e-5)
    assert again.dtype == np.dtype(dtype)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (suffix == ".nii.gz")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    flip=st.sampled_from([-1, 1]),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    array=hnp.arrays(np.float32, st.tuples(*[st.integers(2, 6)] * 3), elements=st.floats(-1e6, 1e6, width=32)),
)
def test_any_array_on_any_grid_comes_back(
    angles: tuple[float, ...],
    spacing: tuple[float, ...],
    flip: int,
    origin: tuple[float, ...],
    array: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = turned(*angles) * np.array(spacing) * [flip, 1, 1]
    affine[:3, 3] = origin
    path = tmp_path_factory.mktemp("any") / "a.nii"
    write_nifti(path, array, scan_on(affine, shape=array.shape))
    again = read_nifti(path)
    np.testing.assert_array_equal(again.image[0].numpy(), array)
    np.testing.assert_allclose(again.image.affine.numpy(), affine, atol=1e-4)


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
    assert nib.load(tmp_path / "a.nii").header["descrip"].tobytes().rstrip(b"\0") == description.encode()[:79]


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
