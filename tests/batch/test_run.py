from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medgen.batch.run import Options, outputs, run
from medgen.bundles import Bundle, BundleError, open_bundle
from medgen.scans import ScanError, find, read
from tests.scans.dicom_lint import lint
from tests.scans.phantoms import enhanced, save_series, series


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle("mr_denoise_vae", "cpu")


def save(path: Path, array: np.ndarray, spacing: float = 1.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.array([[0, -spacing, 0, 7], [spacing, 0, 0, -3], [0, 0, 2, 11], [0, 0, 0, 1]], dtype=float)
    nib.save(nib.Nifti1Image(array, affine), path)


def noise(seed: int = 0, shape: tuple[int, ...] = (21, 18, 10)) -> np.ndarray:
    return np.random.RandomState(seed).rayleigh(200, shape).astype(np.int16)


def test_outputs_lie_on_the_inputs_grid_with_a_sidecar(bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "in/a.nii.gz", noise())
    cases, _, _ = find([tmp_path / "in"])
    (result,) = run(bundle, cases, Options(tmp_path / "out", uncertainty=True))
    assert result.error is None
    image = nib.load(tmp_path / f"out/a_{bundle.root.name}.nii.gz")
    assert image.shape == (21, 18, 10) and image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.affine, nib.load(tmp_path / "in/a.nii.gz").affine, atol=1e-5)
    spread = np.asarray(nib.load(tmp_path / f"out/a_{bundle.root.name}_uncertainty.nii.gz").dataobj)
    assert spread.shape == image.shape and (spread > 0).all()
    sidecar = json.loads((tmp_path / f"out/a_{bundle.root.name}.json").read_text())
    assert sidecar["weights_sha256"] == bundle.metadata["weights_sha256"]
    assert sidecar["derived"] is True and len(sidecar["input_sha256"]) == 64
    assert str(tmp_path) not in json.dumps(sidecar)


def test_units_do_not_matter(bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "in/a.nii.gz", noise().astype(np.float32))
    save(tmp_path / "in/b.nii.gz", noise().astype(np.float32) * 1000)
    cases, _, _ = find([tmp_path / "in"])
    list(run(bundle, cases, Options(tmp_path / "out")))
    a, b = (np.asarray(nib.load(tmp_path / f"out/{n}_{bundle.root.name}.nii.gz").dataobj) for n in "ab")
    np.testing.assert_allclose(b, a * 1000, rtol=1e-3, atol=1e-2 * b.max())


def test_a_bad_case_is_reported_and_the_rest_go_on(bundle: Bundle, tmp_path: Path) -> None:
    for name in "acd":
        save(tmp_path / f"in/{name}.nii.gz", noise())
    whole = (tmp_path / "in/a.nii.gz").read_bytes()
    (tmp_path / "in/b.nii.gz").write_bytes(whole[: len(whole) // 2])
    cases, errors, _ = find([tmp_path / "in"])
    results = list(run(bundle, cases, Options(tmp_path / "out")))
    failed = [r.case.name for r in results if r.error] + [Path(e.path).name for e in errors]
    assert len(failed) == 1 and failed[0].startswith("b")
    assert {r.case.name for r in results if r.files} == {"a", "c", "d"}
    assert [r.case.name for r in results] == sorted(r.case.name for r in results)
    assert not list((tmp_path / "out").glob("b*"))


def test_what_is_done_is_left_alone_unless_told(bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "in/a.nii.gz", noise())
    cases, _, _ = find([tmp_path / "in"])
    options = Options(tmp_path / "out")
    assert next(iter(run(bundle, cases, options))).files
    written = (tmp_path / f"out/a_{bundle.root.name}.nii.gz").stat().st_mtime_ns
    assert next(iter(run(bundle, cases, options))).files == ()
    assert (tmp_path / f"out/a_{bundle.root.name}.nii.gz").stat().st_mtime_ns == written
    assert next(iter(run(bundle, cases, Options(tmp_path / "out", overwrite=True)))).files


def test_an_output_folder_that_is_a_file_stops_the_run_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "in/a.nii.gz", noise())
    (tmp_path / "out").write_text("")
    cases, _, _ = find([tmp_path / "in"])
    with pytest.raises(BundleError, match="choose another output folder"):
        list(run(bundle, cases, Options(tmp_path / "out")))
    assert (tmp_path / "out").read_text() == ""


def test_constant_and_tiny_scans_come_back(bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "in/air.nii.gz", np.zeros((9, 9, 9), np.int16))
    save(tmp_path / "in/tiny.nii.gz", noise(shape=(3, 2, 2)))
    cases, _, _ = find([tmp_path / "in"])
    assert all(result.error is None for result in run(bundle, cases, Options(tmp_path / "out", uncertainty=True)))
    assert not np.asarray(nib.load(tmp_path / f"out/air_{bundle.root.name}.nii.gz").dataobj).any()


def test_pseudonyms_differ_stay_and_come_of_the_content(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(tmp_path / f"in/{name}.nii.gz", noise())
    options = Options(tmp_path / "out", deidentify=True)
    first, second = (outputs(bundle, case, options)[""].name for case in find(tmp_path / "in").cases)
    assert first != second and "one" not in first
    assert outputs(bundle, find(tmp_path / "in").cases[0], options)[""].name == first
    save(tmp_path / "other/one.nii.gz", noise(1))
    assert outputs(bundle, find(tmp_path / "other").cases[0], options)[""].name != first


def test_a_scan_unlike_the_training_is_run_with_a_warning_and_a_score(bundle: Bundle, tmp_path: Path) -> None:
    save(tmp_path / "in/ct.nii.gz", noise() - 1000)
    (result,) = run(bundle, find([tmp_path / "in"]).cases, Options(tmp_path / "out"))
    assert result.files and "unlike the scans" in result.warnings[-1]
    told = json.loads((tmp_path / f"out/ct_{bundle.root.name}.json").read_text())["report"]["unlike_training"]
    assert told["score"] > told["limit"]


def test_another_modality_is_told(bundle: Bundle) -> None:
    from dataclasses import replace

    from medgen.batch.apply import compare
    from medgen.scans import read

    folder = Path(__file__).resolve().parents[2] / "sample_data" / "ct_lung_dicom"
    scan = read(find([folder]).cases[0])
    assert "is CT, and the bundle was trained on MR" in compare(bundle, scan)[1][0]
    assert not any("trained on MR" in line for line in compare(bundle, replace(scan, modality="MR"))[1])


def test_a_mask_lies_on_its_scans_grid_or_the_case_fails(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"in/{name}.nii.gz", noise())
    save(tmp_path / "masks/a_mask.nii.gz", np.ones((21, 18, 10), np.uint8))
    save(tmp_path / "masks/b_mask.nii.gz", np.ones((21, 18, 10), np.uint8), spacing=1.6)
    results = {r.case.name: r for r in run(bundle, find([tmp_path / "in"]).cases, Options(tmp_path / "out", mask=tmp_path / "masks"))}
    assert results["a"].files and results["b"].error is not None and "grid" in results["b"].error


def test_a_missing_mask_stops_the_run_by_name(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"in/{name}.nii.gz", noise())
    save(tmp_path / "masks/a_mask.nii.gz", np.ones((21, 18, 10), np.uint8))
    with pytest.raises(ScanError, match="no mask named b"):
        list(run(bundle, find([tmp_path / "in"]).cases, Options(tmp_path / "out", mask=tmp_path / "masks")))


@pytest.mark.parametrize(("told", "thickness"), [("4.5", 4.5), ("", None), ("0", None), ("-1", None)])
def test_the_headers_slice_thickness_is_taken_where_it_is_one(told: str, thickness: float | None) -> None:
    from dataclasses import replace

    from medgen.batch.apply import _thickness
    from medgen.scans import read

    folder = Path(__file__).resolve().parents[2] / "sample_data" / "ct_lung_dicom"
    scan = read(find([folder]).cases[0])
    first = scan.slices[0].copy()
    first.SliceThickness = told
    assert _thickness(replace(scan, slices=(first, *scan.slices[1:]))) == thickness
    assert _thickness(replace(scan, slices=())) is None


@pytest.mark.parametrize("deidentify", [False, True])
def test_multi_frame_dicom_becomes_a_derived_series(deidentify: bool, bundle: Bundle, tmp_path: Path) -> None:
    save_series([enhanced(series(shape=(18, 16, 10), modality="MR")[::-1])], tmp_path / "in")
    (case,) = find([tmp_path / "in"]).cases
    options = Options(tmp_path / "out", format="same", deidentify=deidentify)
    (result,) = run(bundle, [case], options)
    assert result.error is None
    before, after = read(case), read(outputs(bundle, case, options)[""])
    np.testing.assert_array_equal(after.image.affine, before.image.affine)
    assert deidentify or lint(outputs(bundle, case, options)[""], before) == []
    assert [ds.SourceImageSequence[0].ReferencedFrameNumber for ds in after.slices] == list(range(10, 0, -1))
    assert (after.slices[0].PatientID == before.slices[0].PatientID) != deidentify
    assert (after.slices[0].StudyInstanceUID == before.slices[0].StudyInstanceUID) != deidentify
