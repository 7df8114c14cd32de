from __future__ import annotations

import json
from pathlib import Path

import pytest

from medgen.scans import Case, ScanError
from medgen.scans.bids import dataset, derived, is_mask_of, is_uncertainty, scans_in, source_name, uncertainty_name
from tests.batch.bids_dataset import IMAGES, make, write
from tests.batch.tiny import ball, save


def case(file: str, name: str = "") -> Case:
    return Case(name or Path(file).name.partition(".")[0], (Path(file),), "nifti")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return make(tmp_path / "raw")


def test_only_the_structural_images_of_the_subjects_are_taken(raw: Path) -> None:
    found = scans_in(raw)
    assert [one.name for one in found.cases] == sorted(Path(name).name for name in IMAGES)
    assert found.errors == []
    assert [note.removeprefix(f"{raw}: ") for note in found.skipped] == [
        "1 image(s) in func/ left out", "1 image(s) of phase, real or imaginary part left out",
    ]  # fmt: skip


def test_other_folders_are_looked_through_as_ever(raw: Path, tmp_path: Path) -> None:
    save(tmp_path / "plain/head.nii.gz", ball(1))
    names = [one.name for one in scans_in([raw, tmp_path / "plain"]).cases]
    assert "head" in names and len(names) == len(IMAGES) + 1
    assert len(scans_in(raw / "derivatives").cases) == 2  # no root of a dataset
    write(raw / "dataset_description.json", {"Name": "of something else"})
    assert dataset(raw) is None and len(scans_in(raw).cases) == 8


def test_of_a_derivative_the_images_are_taken(raw: Path) -> None:
    anat = raw / "derivatives/brains/sub-02/anat"
    save(anat / "sub-02_desc-preprocUncertainty_T2w.nii.gz", ball(1))
    found = scans_in(raw / "derivatives/brains")
    assert [one.name for one in found.cases] == ["sub-02_desc-preproc_T2w"]
    assert [note.rpartition(": ")[2] for note in found.skipped] == [
        "1 image(s) of uncertainty left out", "1 image(s) with suffix mask left out",
    ]  # fmt: skip
    brains = dataset(raw / "derivatives/brains")
    assert brains is not None and not brains.is_raw and brains.is_skull_stripped(found.cases[0]) is True
    (anat / "sub-02_desc-preproc_T2w.json").unlink()
    assert brains.is_skull_stripped(found.cases[0]) is None  # not known
    whole = dataset(raw)
    assert whole is not None and whole.is_skull_stripped(scans_in(raw).cases[0]) is False


def test_what_should_be_taken_and_cannot_is_an_error(raw: Path) -> None:
    anat = raw / "sub-02/anat"
    save(anat / "sub-03_T1w.nii.gz", ball(1))
    save(raw / "sub-01/anat/sub-01_ses-a_PDw.nii.gz", ball(1))
    (anat / "sub-02_T1w.nii.gz").symlink_to(raw / ".git/annex/objects/gone")
    told = "\n".join(map(str, scans_in(raw).errors))
    assert told.count("is not that of its subject and session") == 2 and "datalad get" in told and told.count("\n") == 2
    (raw / "dataset_description.json").write_text("{")
    with pytest.raises(ScanError, match="cannot be read .* mend it"):
        scans_in(raw)


def test_a_dataset_without_structural_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.8.0"}))
    assert "without structural images (no subjects are there)" in str(scans_in(tmp_path).errors[0])
    save(tmp_path / "sub-1/dwi/sub-1_dwi.nii.gz", ball(1))
    assert "(1 image(s) in dwi/ left out)" in str(scans_in(tmp_path).errors[0])


@pytest.mark.parametrize(
    ("source", "labels", "path"),
    [
        (case("sub-01_T1w.nii.gz"), ["mr_denoise_vae"], "sub-01/anat/sub-01_desc-mrDenoiseVae_T1w"),
        (case("sub-01_ses-b_acq-x_FLAIR.nii"), ["b", "Uncertainty"], "sub-01/ses-b/anat/sub-01_ses-b_acq-x_desc-bUncertainty_FLAIR"),
        (case("sub-1_T1w.nii", "sub-1_T1w-2"), ["blur", "Uncertainty"], "sub-1/anat/sub-1_desc-blur2Uncertainty_T1w"),
        (case("sub-1_space-A_desc-preproc_T1w.nii"), ["blur"], "sub-1/anat/sub-1_space-A_desc-preprocBlur_T1w"),
    ],
)
def test_a_result_is_named_like_its_source_with_a_desc(source: Case, labels: list[str], path: str) -> None:
    assert derived(source, *labels) == Path(path)


def test_another_contrast_has_its_own_suffix_and_tells_its_source() -> None:
    names = {derived(case(f"sub-1_{source}.nii"), "gan", "Uncertainty", contrast="FLAIR").name for source in ("T1w", "T2w", "FLAIR")}
    assert names == {"sub-1_desc-ganFromT1wUncertainty_FLAIR", "sub-1_desc-ganFromT2wUncertainty_FLAIR", "sub-1_desc-ganUncertainty_FLAIR"}


def test_names_tell_what_belongs_together() -> None:
    with pytest.raises(ScanError, match="has no BIDS name"):
        derived(case("head.nii.gz"), "blur")
    assert source_name("sub-1_ses-a_desc-blur_T1w") == "sub-1_ses-a_T1w" and source_name("a_desc-b") == "a_desc-b"
    assert uncertainty_name("sub-1_desc-blur_T1w") == "sub-1_desc-blurUncertainty_T1w"
    assert uncertainty_name("sub-1_T1w") is None and uncertainty_name("head_blur") is None
    assert is_uncertainty("sub-1_desc-blurUncertainty_T1w") and not is_uncertainty("Uncertainty_1") and not is_uncertainty("sub-1_T1w")
    assert is_mask_of("sub-1_acq-x_label-lesion_mask", "sub-1_acq-x_T1w") and is_mask_of("sub-1_mask", "sub-1_T1w")
    assert not is_mask_of("sub-10_mask", "sub-1_T1w") and not is_mask_of("sub-1_acq-x_mask", "sub-1_T1w")
    assert not is_mask_of("a_mask", "a_T1w")
