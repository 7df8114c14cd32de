"""A bundle for repair fills the slices that a DICOM series lacks; any other refuses the series."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from medgen.batch.apply import _remarks
from medgen.batch.progress import plan
from medgen.batch.report_cases import cases_of
from medgen.batch.run import Options, run
from medgen.bundles import Bundle, open_bundle
from medgen.scans import find, read
from tests.batch.tiny import quick_bundle
from tests.scans.phantoms import save_series, series

MISSING, SHAPE = (4, 9, 10, 11), (20, 18, 16)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle("ct_repair_vae", "cpu")


@pytest.fixture
def gap(tmp_path: Path) -> Path:
    """Return a series without four slices."""
    slices = series(shape=SHAPE)
    save_series([ds for z, ds in enumerate(slices) if z not in MISSING], tmp_path / "gap")
    save_series(slices, tmp_path / "whole")
    return tmp_path / "gap"


@pytest.mark.parametrize("format", ["nifti", "dicom"])
def test_missing_slices_are_filled_and_no_other_voxel_changes(format: str, bundle: Bundle, gap: Path, tmp_path: Path) -> None:
    (result,) = run(bundle, find([gap]).cases, Options(tmp_path / "out", format=format))
    assert result.error is None and any("no file holds its slice(s) 4, 9, 10, 11" in line for line in result.warnings)
    report = json.loads((tmp_path / "out/gap_ct_repair_vae.json").read_text())["report"]
    assert (report["mask"], report["missing_slices_filled"]) == ("missing slices", list(MISSING))
    assert report["filled_voxels"] == 20 * 18 * len(MISSING)
    whole, back = read(tmp_path / "whole"), read(Path(result.files[0]))
    there = [z for z in range(SHAPE[2]) if z not in MISSING]
    np.testing.assert_allclose(back.image.affine.numpy(), whole.image.affine.numpy(), atol=1e-4)
    np.testing.assert_array_equal(back.image[..., there], whole.image[..., there])
    truth = whole.image[0].numpy()[..., MISSING]
    assert np.abs(back.image[0].numpy()[..., MISSING] - truth).mean() < 10 < 0.2 * np.ptp(truth)  # the phantom is linear


def test_a_mask_is_filled_beside_them(bundle: Bundle, gap: Path, tmp_path: Path) -> None:
    whole = read(tmp_path / "whole")
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:9, 5:9, 2:7] = 1
    nib.save(nib.Nifti1Image(mask, whole.image.affine.numpy()), tmp_path / "mask.nii.gz")
    (result,) = run(bundle, find([gap]).cases, Options(tmp_path / "out", mask=tmp_path / "mask.nii.gz"))
    assert result.error is None
    report = json.loads((tmp_path / "out/gap_ct_repair_vae.json").read_text())["report"]
    assert report["mask"] == "given, and missing slices"
    assert report["filled_voxels"] == 20 * 18 * len(MISSING) + 16 * 4  # one slice of the mask is missing
    mask[..., MISSING] = 1
    changed = read(Path(result.files[0])).image[0].numpy() != whole.image[0].numpy()
    assert not changed[mask == 0].any() and changed[5:9, 5:9, 5].any()


def test_a_plan_says_what_can_be_filled_and_other_bundles_refuse(bundle: Bundle, gap: Path, tmp_path: Path) -> None:
    cases = find([gap]).cases
    other = open_bundle(str(quick_bundle(tmp_path)), "cpu")
    assert [plan(one, cases, [], Options(tmp_path / "out"), Console(file=io.StringIO())) for one in (bundle, other)] == [0, 1]
    (result,) = run(other, cases, Options(tmp_path / "out", permissive=True))
    assert result.error is not None and "4 slice(s) missing; complete the series, or fill it" in result.error


@pytest.mark.parametrize("dtype, slope", [("f8", None), ("i4", None), ("u4", None), ("i2", 0.1), ("f4", None), ("i2", None)])
def test_not_a_bit_of_what_is_known_changes(dtype: str, slope: float | None, bundle: Bundle, tmp_path: Path) -> None:
    whole = 900 * np.random.RandomState(0).standard_normal(SHAPE)
    array = np.abs(whole) * 2**18 + 3 if dtype == "u4" else whole * 2**18 if dtype == "i4" else whole  # far beyond 24 bits
    image = nib.Nifti1Image(array.astype(dtype), np.eye(4))
    image.header.set_slope_inter(slope, None if slope is None else 0.3)
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:9, 5:9, 2:7] = 1
    nib.save(image, tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / "mask.nii.gz")
    (result,) = run(bundle, find([tmp_path / "a.nii.gz"]).cases, Options(tmp_path / "out", mask=tmp_path / "mask.nii.gz"))
    before, after = np.asanyarray(nib.load(tmp_path / "a.nii.gz").dataobj), np.asanyarray(nib.load(result.files[0]).dataobj)
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after[mask == 0], before[mask == 0])
    assert (after[mask == 1] != before[mask == 1]).mean() > 0.9


def test_several_fills_are_those_of_the_setting_and_spread_in_the_hole_alone(bundle: Bundle, tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    array = rng.uniform(-100, 100, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:13, 5:13, 4:12] = 1
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / "mask.nii.gz")
    cases = find([tmp_path / "a.nii.gz"]).cases
    out = tmp_path / "out"
    (result,) = run(bundle, cases, Options(out, mask=tmp_path / "mask.nii.gz", fills=3))
    assert result.error is None
    fills = nib.load(out / "a_ct_repair_vae_fills.nii.gz").get_fdata(dtype=np.float32)
    assert fills.shape == (*SHAPE, 3)
    spread = np.ptp(fills, axis=-1)
    assert not spread[mask == 0].any() and (spread[mask == 1] > 0).mean() > 0.99
    np.testing.assert_array_equal(fills[mask == 0], np.repeat(array[mask == 0][:, None], 3, 1))
    second = replace(bundle, settings={**bundle.settings, "fill": 2})
    (alone,) = run(second, cases, Options(tmp_path / "alone", mask=tmp_path / "mask.nii.gz"))
    np.testing.assert_array_equal(nib.load(alone.files[0]).get_fdata(dtype=np.float32), fills[..., 1])
    report = json.loads((out / "a_ct_repair_vae.json").read_text())
    assert report["outputs"]["fills"] == "a_ct_repair_vae_fills.nii.gz" and report["parameters"]["fills"] == 3
    (again,) = run(bundle, cases, Options(out, mask=tmp_path / "mask.nii.gz", fills=3))
    assert not again.files and again.error is None  # done before
    (shown,) = cases_of(out)
    assert shown.name == "a_ct_repair_vae"


def test_what_repairs_nothing_has_no_fills(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    (result,) = run(open_bundle(str(quick_bundle(tmp_path)), "cpu"), find([tmp_path / "a.nii.gz"]).cases, Options(tmp_path / "out", fills=2))
    assert result.error is not None and "without --fills" in result.error


def test_what_was_found_and_what_was_not_there_is_told(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)), tmp_path / "mask.nii.gz")
    array = np.random.RandomState(0).uniform(-100, 100, SHAPE).astype(np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    cases, ct = find([tmp_path / "a.nii.gz"]).cases, open_bundle("ct_repair_vae", "cpu")
    (result,) = run(ct, cases, Options(tmp_path / "out", mask=tmp_path / "mask.nii.gz"))
    assert any("empty mask" in warning for warning in result.warnings)
    sidecar = json.loads((tmp_path / "out/a_ct_repair_vae.json").read_text())
    assert sidecar["mask_sha256"] == hashlib.sha256((tmp_path / "mask.nii.gz").read_bytes()).hexdigest()
    assert list(result.warnings) == sidecar["warnings"]
    found = {"spoiled_slices": [{"axis": 2, "slice": 4}, {"axis": 2, "slice": 7}], "rescaled": [{"axis": 0, "slices": [1, 3]}]}
    assert _remarks(found) == [
        "looks spoiled in slice(s) 4, 7 of axis 2, which were filled (counted from 0)",
        "is uneven in slices 1, 3 of axis 0, which were rescaled (counted from 0)",
    ]
