"""Runs over BIDS datasets, and what the bids-validator says of what they write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from medgen.batch.pairing import masks_of
from medgen.batch.report_cases import cases_of
from medgen.batch.run import Options
from medgen.bundles import open_bundle
from medgen.scans import read
from medgen.scans.bids import scans_in
from tests.batch.bids_dataset import IMAGES, errors, image, make, write
from tests.batch.test_watch import watching
from tests.batch.tiny import ball, bundle, quick_bundle, save
from tests.test_cli import call

pytest.importorskip("bids_validator_deno", reason="pip install medgen[test]")
SUB_01 = "sub-01/ses-a/anat/sub-01_ses-a"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return a bundle, a dataset and the derivative in it that a run of the bundle made, with uncertainty."""
    folder = tmp_path_factory.mktemp("bids")
    root, raw = bundle(folder / "bundles"), make(folder / "raw")
    code, out, err = call("run", root, raw, "-o", raw / "derivatives/medgen", "--uncertainty", "--device", "cpu")
    assert code == 0, err
    assert "1 images in func/ are left out" in out and "4 written" in out
    return root, raw, raw / "derivatives/medgen"


@pytest.fixture
def copied(made: tuple[Path, Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[2], tmp_path / "copied"))


def test_the_validator_finds_no_error(made: tuple[Path, Path, Path]) -> None:
    _, raw, out = made
    assert errors(raw) == [] and errors(out) == []
    assert sorted(path.name for path in (out / SUB_01).parent.iterdir()) == sorted(
        f"sub-01_ses-a{entities}_desc-mrDenoiseVae{what}_{suffix}.{kind}"
        for entities, suffix in (("", "T1w"), ("_acq-fast_run-1", "FLAIR"))
        for what in ("", "Uncertainty") for kind in ("json", "nii.gz")
    )  # fmt: skip


def test_sidecars_and_description_tell_where_it_comes_from(made: tuple[Path, Path, Path]) -> None:
    root, raw, out = made
    sidecar = json.loads((out / f"{SUB_01}_desc-mrDenoiseVae_T1w.json").read_text())
    assert sidecar["Sources"] == [f"bids:source:{SUB_01}_T1w.nii.gz"] and sidecar["SkullStripped"] is False
    assert sidecar["bundle"] == "mr_denoise_vae" and sidecar["outputs"]["uncertainty"].endswith("Uncertainty_T1w.nii.gz")
    about = json.loads((out / "dataset_description.json").read_text())
    link = about["DatasetLinks"]["source"]
    assert (out / link / f"{SUB_01}_T1w.nii.gz").is_file() and about["SourceDatasets"] == [{"URL": link}]
    (maker,) = about["GeneratedBy"]
    metadata = json.loads((root / "configs/metadata.json").read_text())
    assert maker["Name"] == "medgen" and maker["WeightsSHA256"] == metadata["weights_sha256"]
    assert about["DatasetType"] == "derivative" and about["BIDSVersion"]
    result, source = read(out / f"{SUB_01}_desc-mrDenoiseVae_T1w.nii.gz"), read(raw / f"{SUB_01}_T1w.nii.gz")
    np.testing.assert_array_equal(result.image.affine, source.image.affine)
    assert not np.array_equal(result.image, source.image)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda out: (out / "dataset_description.json").unlink(), "MISSING_DATASET_DESCRIPTION"),
        (lambda out: save(out / "sub-02/anat/sub-02_T2w_mrDenoiseVae.nii.gz", ball(1)), "NOT_INCLUDED"),
        (lambda out: (out / "sub-02/anat/sub-02_desc-mrDenoiseVaeUncertainty_T2w.json").unlink(), "SIDECAR_KEY_REQUIRED"),
        (lambda out: (out / "sub-02/anat/sub-02_desc-mrDenoiseVae_T2w.nii.gz").write_bytes(b"broken"), "NIFTI"),
        (lambda out: (out / ".bidsignore").unlink(), "NOT_INCLUDED"),
    ],
    ids=["no description", "a name of no kind", "a map without a sidecar", "a broken image", "a ledger that is not ignored"],
)
def test_the_validator_sees_what_would_be_wrong(damage, code: str, copied: Path) -> None:  # type: ignore[no-untyped-def]
    damage(copied)
    assert [line for line in errors(copied) if code in line]


def test_a_run_goes_on_and_status_tells(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    root = quick_bundle(tmp_path / "bundles")
    raw, out = make(tmp_path / "raw"), tmp_path / "out"
    assert call("run", root, raw, "-o", out, "--device", "cpu", "--workers", 1)[0] == 0
    (out / f"{SUB_01}_desc-blur_T1w.nii.gz").unlink()
    (out / "sub-02/anat/.part_1-1_00000000000000000000000000000000.nii.gz").touch()  # of one who was killed
    image(raw / "sub-02/anat/sub-02_T2w.nii.gz", ball(9))
    code, told, _ = call("run", root, raw, "-o", out, "--device", "cpu", "--format", "bids")
    assert code == 0 and "2 written" in told and "2 were there already" in told
    assert call("status", out)[1].startswith("4 done")
    assert not list(out.rglob(".part*"))
    other = root.rename(root.with_name("other_blur"))
    assert call("run", other, raw, "-o", out, "--device", "cpu")[0] == 0
    about = json.loads((out / "dataset_description.json").read_text())
    assert [maker["Bundle"] for maker in about["GeneratedBy"]] == ["blur", "other_blur"]
    assert errors(out) == [] and len(list(out.rglob("*.nii.gz"))) == 8


def test_other_formats_are_what_they_were(tmp_path: Path) -> None:
    root, raw = quick_bundle(tmp_path / "bundles"), make(tmp_path / "raw")
    for number, more in enumerate((["--format", "nifti"], [raw / "sub-02/anat"])):
        assert call("run", root, raw, *more, "-o", tmp_path / f"{number}", "--device", "cpu")[0] == 0
        assert len(list((tmp_path / f"{number}").glob("*_blur.nii.gz"))) >= len(IMAGES)
        assert not (tmp_path / f"{number}/dataset_description.json").exists()


def test_wrong_use_is_one_line_and_writes_nothing(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    root, raw, out = made
    before = (raw / "dataset_description.json").read_bytes()
    for place in (raw, raw / "results", raw / "derivatives/brains"):
        code, _, err = call("run", root, raw, "-o", place, "--device", "cpu")
        assert code == 2 and "choose " in err and err.count("\n") == 1, err
    assert (raw / "dataset_description.json").read_bytes() == before and not (raw / "results").exists()
    assert not list(raw.glob("ledger*"))
    other = make(tmp_path / "other")
    assert "of another dataset" in call("run", root, other, "-o", out, "--device", "cpu")[2]
    assert "add --format nifti" in call("run", root, raw, "-o", tmp_path / "out", "--deidentify")[2]
    for paths in ([raw / "sub-01"], [raw, other]):
        assert "wants one path" in call("run", root, *paths, "-o", tmp_path / "out", "--format", "bids")[2]
    write(other / "dataset_description.json", {})
    (other / "dataset_description.json").write_text("{")
    assert "mend it" in call("run", root, other, "-o", tmp_path / "out")[2]
    assert not (tmp_path / "out").exists()


def test_results_find_their_inputs_maps_and_masks(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, raw, out = made
    shown = cases_of(out, raw)
    assert [one.name for one in shown] == sorted(f"{Path(name).name}".replace("_T", "_desc-mrDenoiseVae_T").replace(
        "_FLAIR", "_desc-mrDenoiseVae_FLAIR") for name in IMAGES)  # fmt: skip
    assert all(set(one.scans) == {"result", "input", "uncertainty"} and one.sidecar for one in shown)
    assert all("derivatives" not in one.scans["input"].files[0].parts for one in shown)
    chosen = [case for case in scans_in(raw).cases if case.name in ("sub-01_ses-a_T1w", "sub-02_T2w")]
    for name in ("sub-01/ses-a/anat/sub-01_ses-a_label-lesion_mask", "sub-02/anat/sub-02_label-lesion_mask"):
        save(tmp_path / f"masks/{name}.nii.gz", (ball(1) > 300).astype(np.uint8))
    masks = masks_of(tmp_path / "masks", chosen)
    assert {name: mask.name for name, mask in masks.items()} == {
        "sub-01_ses-a_T1w": "sub-01_ses-a_label-lesion_mask", "sub-02_T2w": "sub-02_label-lesion_mask",
    }  # fmt: skip


def test_a_dataset_is_watched(tmp_path: Path) -> None:
    from medgen.batch.derivative import bids_of, describe_derivative

    raw, out = make(tmp_path / "raw"), tmp_path / "out"
    blur = open_bundle(str(quick_bundle(tmp_path / "bundles")), "cpu")
    found = bids_of([raw], "auto", False)
    assert found is not None
    describe_derivative(out, found, blur)
    with watching(blur, raw, Options(out, bids=found)) as watcher:
        assert len(watcher.told(4)) == 4
        image(raw / "sub-02/anat/sub-02_T2w.nii.gz", ball(9))
        assert watcher.told(5)[4:] == ["sub-02_desc-blur2_T2w.nii.gz"]
    assert errors(out) == []
