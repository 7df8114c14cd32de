"""NIfTI is read right or refused (by the corpus too), and what is told of it is true."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Orientation

from medgen.scans import ScanError, write_nifti
from medgen.scans.nifti import read_nifti
from medgen.scans.scan import Reading
from tests.scans.corpus_nifti import ENTRIES
from tests.scans.hostile import costs_of_refusing
from tests.scans.phantoms import assert_phantom, nifti_affine, nifti_image, turned

SHAPE = (4, 5, 6)
SHARED = Path(os.environ.get("MEDGEN_SHARED") or Path(__file__).parents[2].parent / "shared/data")
REAL: dict[str, tuple[int, ...] | str] = {  #: shape, or why it is refused
    "nibabel_anatomical.nii": (1, 33, 41, 25),
    "nibabel_example4d.nii.gz": (2, 128, 96, 24),
    "nibabel_example_nifti2.nii.gz": (2, 32, 20, 12),
    "nibabel_functional.nii": (20, 17, 21, 3),
    "nibabel_reoriented_anat_moved.nii": (1, 21, 26, 22),
    "nibabel_standard.nii.gz": (1, 4, 5, 7),
    "nibabel_test.mgz": "FreeSurfer MGH",
    "niivue_CT_pitch_phantom.nii.gz": (1, 175, 248, 58),
    "niivue_avg152T1_RL_nifti.nii.gz": (1, 91, 109, 91),
    "niivue_complex.nii.gz": "complex",
    "niivue_ct_perfusion_RGB24.nii.gz": "colours",
    "niivue_pcasl.nii.gz": (10, 52, 68, 20),
    "niivue_shear.nii.gz": "sheared",
}
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


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 1), (4, 3)])
@pytest.mark.parametrize("name", AFFINES)
def test_geometry(name: str, codes: tuple[int, int], kind: type, suffix: str, tmp_path: Path) -> None:
    image = nifti_image(AFFINES[name], kind=kind, sform=codes[0], qform=codes[1])
    scan = read_nifti(save(image, tmp_path / f"a{suffix}"))
    assert_phantom(scan, AFFINES[name], SHAPE, tolerance=1e-3)
    assert (scan.units, scan.modality) == ("arbitrary", "")


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_the_stored_type_is_told(dtype: str, order: str, kind: type[nib.Nifti1Image], tmp_path: Path) -> None:
    array = np.arange(120).reshape(SHAPE).astype(dtype)
    image = kind(array, nifti_affine(), header=kind.header_class(endianness=order), dtype=np.dtype(dtype))
    scan = read_nifti(save(image, tmp_path / "a.nii"))
    np.testing.assert_array_equal(scan.image[0].numpy(), array)
    assert scan.image.dtype == torch.float32 and scan.image.is_contiguous()
    assert scan.dtype == np.dtype(dtype) and scan.dtype.isnative and not scan.warnings


@pytest.mark.parametrize("slope", [2.0, 1.0])
def test_scaled_values_do_not_fit_what_was_stored(slope: float, tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(120, dtype=np.int16).reshape(SHAPE), nifti_affine())
    image.header.set_slope_inter(slope, 0)
    assert read_nifti(save(image, tmp_path / "a.nii")).dtype == (np.int16 if slope == 1 else np.float32)


@pytest.mark.parametrize("value", [2**24 + 1, -(2**24) - 1, 2**40 + 1, 2**60 + 1, -(2**63) + 1])
def test_whole_numbers_that_float32_rounds_are_counted(value: int, tmp_path: Path) -> None:
    exact = [0, 2**24, -(2**24), 2**24 + 2, 2**62, -(2**63), 3 << 40]
    array = np.zeros(SHAPE, np.int64)
    array[0, 0, :6], array[1, 0, 0] = exact[:6], exact[6]
    image = nib.Nifti1Image(array, nifti_affine(), dtype=np.int64)
    assert not read_nifti(save(image, tmp_path / "a.nii")).warnings
    array[2, 1, :3] = value
    (warning,) = read_nifti(save(image, tmp_path / "b.nii")).warnings
    assert warning.startswith("3 int64 values are rounded")


@pytest.mark.parametrize("slope, rounded", [(1e-3, 0), (1.0, 5)])
def test_scaled_steps_that_float32_merges_are_counted(slope: float, rounded: int, tmp_path: Path) -> None:
    array = np.arange(1, 241, 2, dtype=np.int32).reshape(SHAPE)
    array[0, 0, :5] += 2**24 if rounded else 0
    image = nib.Nifti1Image(array, nifti_affine())
    image.header.set_slope_inter(slope, 0.25)
    warnings = read_nifti(save(image, tmp_path / "a.nii")).warnings
    assert [warning.split()[0] for warning in warnings] == ([str(rounded)] if rounded else [])


@pytest.mark.parametrize("value", [0.1, 2**24 + 1, 2**60 + 1])
@pytest.mark.parametrize("slope", [None, 0.1])
@pytest.mark.parametrize("shape", [(4, 5, 6), (2, 2, 40)])
def test_what_float32_rounds_is_kept_for_repair(shape: tuple[int, ...], slope: float | None, value: float, tmp_path: Path) -> None:
    array = np.zeros(shape, np.int64 if isinstance(value, int) else np.float64)
    array[1, 1, -1], array[0, 1, 2] = value, 7
    image = nib.Nifti1Image(array, nifti_affine(), dtype=array.dtype)
    image.header.set_slope_inter(slope, None if slope is None else 0)
    path = save(image, tmp_path / "a.nii")
    scan = read_nifti(path, Reading(repair=True))
    stored = nib.load(path)
    assert scan.exact is not None and scan.dtype == scan.exact.dtype == (np.float64 if slope else array.dtype)
    np.testing.assert_array_equal(scan.exact[0], np.asanyarray(stored.dataobj))
    np.testing.assert_array_equal(scan.exact.astype(np.float32), scan.image.numpy())
    array[1, 1, -1] = 5
    exact = nib.Nifti1Image(array, nifti_affine(), dtype=array.dtype)
    assert read_nifti(save(exact, tmp_path / "b.nii"), Reading(repair=True)).exact is None


@pytest.mark.parametrize(
    "sform, qform, shifted, codes",
    [(4, 0, False, (4, 0)), (0, 1, False, (0, 1)), (2, 1, False, (2, 1)), (4, 1, True, (4, 0)), (0, 3, True, (0, 3))],
)
def test_the_codes_of_forms_that_agree_are_kept(
    sform: int, qform: int, shifted: bool, codes: tuple[int, int], tmp_path: Path
) -> None:
    image = nifti_image(nifti_affine(turned(25, -17, 40)), sform=sform, qform=qform)
    image.set_sform(image.affine + (np.eye(4, k=3) * 30 if shifted else 0), code=sform)
    scan = read_nifti(save(image, tmp_path / "a.nii"))
    assert scan.codes == codes
    write_nifti(tmp_path / "b.nii.gz", scan.image[0].numpy(), scan)
    header = nib.load(tmp_path / "b.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == codes
    np.testing.assert_allclose(read_nifti(tmp_path / "b.nii.gz").image.affine, scan.image.affine, atol=1e-4)


def test_a_grid_of_no_orientation_stays_one(tmp_path: Path) -> None:
    scan = read_nifti(save(nifti_image(nifti_affine(), sform=0, qform=0), tmp_path / "a.nii"), Reading(permissive=True))
    write_nifti(tmp_path / "b.nii", scan.image[0].numpy(), scan)
    with pytest.raises(ScanError, match="no orientation"):
        read_nifti(tmp_path / "b.nii")
    again = read_nifti(tmp_path / "b.nii", Reading(permissive=True))
    np.testing.assert_array_equal(again.image.affine, scan.image.affine)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_hash_is_of_the_stored_bytes(suffix: str, tmp_path: Path) -> None:
    path = save(nifti_image(nifti_affine()), tmp_path / f"a{suffix}")
    assert read_nifti(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("shape", [(3, 4, 15), (3, 4, 16), (3, 4, 33), (2, 2, 50)])
@pytest.mark.parametrize("volumes", [1, 3])
def test_every_slab_goes_to_its_place(volumes: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.arange(np.prod(shape) * volumes, dtype=np.int16).reshape(*shape, volumes)
    path = save(nib.Nifti1Image(array, nifti_affine()), tmp_path / "a.nii.gz")
    image = read_nifti(path, Reading(four_d=True)).image
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(array, -1, 0))


def test_hostile_headers_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    folders = {name: tmp_path / str(k) for k, name in enumerate(ENTRIES) if "bomb" in name or "32767" in name}
    for name, folder in folders.items():
        ENTRIES[name].make(folder)
    costs = dict(zip(folders, costs_of_refusing(folders.values()), strict=True))
    assert len(costs) >= 5 and all(megabytes < 100 and seconds < 5 for megabytes, seconds in costs.values()), costs


@pytest.mark.parametrize("value", [0, 7])
def test_constant_images_are_read(value: int, tmp_path: Path) -> None:
    path = save(nib.Nifti1Image(np.full((256, 256, 100), value, np.uint8), nifti_affine()), tmp_path / "a.nii.gz")
    scan = read_nifti(path)
    assert (scan.image == value).all() and scan.dtype == np.uint8 and not scan.warnings


def test_no_more_memory_than_the_volume_and_a_slab(tmp_path: Path) -> None:
    path = save(nib.Nifti1Image(np.ones((128, 128, 256), np.float32), nifti_affine()), tmp_path / "a.nii.gz")
    tracemalloc.start()
    try:
        read_nifti(path)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * 128 * 128 * 256 * 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_are_read_or_refused_as_they_should_be(name: str) -> None:
    path = SHARED / "loader_cases/nifti" / name
    if not path.exists():
        pytest.skip("the real scans are not here")
    expected = REAL[name]
    if isinstance(expected, str):
        with pytest.raises(ScanError, match=expected):
            read_nifti(path)
        return
    scan = read_nifti(path, Reading(four_d=True))
    reference = nib.load(path)
    array = reference.get_fdata(dtype=np.float32)
    assert scan.image.shape == expected and not scan.warnings
    np.testing.assert_allclose(scan.image.numpy(), np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 0), rtol=1e-6)
    np.testing.assert_allclose(scan.image.affine.numpy(), reference.affine, atol=1e-4)


def test_24_storage_orientations_of_one_real_image_are_one_image() -> None:
    paths = sorted((SHARED / "loader_cases/nifti/orientations").glob("*.nii.gz"))
    if not paths:
        pytest.skip("the real scans are not here")
    scans = [Orientation(axcodes="RAS")(read_nifti(path).image) for path in paths]
    assert len(scans) == 24
    for scan in scans[1:]:
        np.testing.assert_allclose(scan.affine, scans[0].affine, atol=1e-3)
        np.testing.assert_array_equal(scan.numpy(), scans[0].numpy())


def test_no_place_to_cut_a_gzip_short_goes_unseen(tmp_path: Path) -> None:
    path = save(nifti_image(nifti_affine()), tmp_path / "a.nii.gz")
    whole = path.read_bytes()
    for keep in (0, *range(2, len(whole))):
        path.write_bytes(whole[:keep])
        with pytest.raises(ScanError, match="cut short|is empty"):
            read_nifti(path)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = save(nifti_image(nifti_affine()), tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # the last 8 bytes are CRC32 and size
    path.write_bytes(content)
    with pytest.raises(ScanError, match="compression is broken"):
        read_nifti(path)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    damage=st.lists(st.tuples(st.integers(0, 599), st.sampled_from([0, 1, 127, 128, 255])), min_size=1, max_size=6),
)
def test_a_damaged_header_is_an_error_or_a_scan_but_never_a_crash(
    kind: type[nib.Nifti1Image], damage: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(nifti_image(nifti_affine(), kind=kind).to_bytes())
    for place, value in damage:
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "a.nii"
    path.write_bytes(content)
    for permissive in (False, True):
        with contextlib.suppress(ScanError):
            assert np.isfinite(read_nifti(path, Reading(permissive, four_d=True)).image.affine).all()


@pytest.mark.parametrize("name", ["absent.nii", "folder.nii"])
def test_what_cannot_be_opened_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(ScanError, match="cannot be read"):
        read_nifti(tmp_path / name)
