"""`medgen inspect` tells what is there and what is wrong with it, and nothing of the patient unless asked."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
from typer.testing import CliRunner

from medgen.cli import app
from tests.scans.phantoms import ORIENTATIONS, SECRETS, nifti_affine, nifti_image, save_series, series


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def test_a_row_says_what_a_scan_is(tmp_path: Path) -> None:
    save_series(series(ORIENTATIONS["oblique"]), tmp_path / "in/study")
    nib.save(nifti_image(nifti_affine()), tmp_path / "in/head.nii.gz")
    code, out = call(tmp_path / "in", "--json")
    told = json.loads(out)
    assert code == 0 and told["errors"] == told["skipped"] == []
    head, study = told["scans"]
    assert (head["name"], head["format"], head["files"], head["modality"]) == ("head", "nifti", 1, "")
    assert (head["shape"], head["spacing_mm"], head["orientation"], head["oblique_degrees"]) == ([4, 5, 6], [1, 2, 3], "RAS", 0)
    assert (study["name"], study["files"], study["modality"], study["units"]) == ("study", 5, "CT", "HU")
    assert (study["oblique_degrees"], study["volumes"]) == (20, 1)
    assert head["warnings"] == [] and any("may not be HU" in warning for warning in study["warnings"])  # the phantom's are not
    code, out = call(tmp_path / "in")
    assert code == 0 and "1x2x3" in out and "20° oblique" in out and "dicom (5)" in out


def test_problems_are_told_and_counted(tmp_path: Path) -> None:
    slices = series()
    save_series(slices[:2] + slices[3:], tmp_path / "gap")
    code, out = call(tmp_path)
    assert code == 1 and "refused: " in out and "slice(s) missing" in out
    assert call(tmp_path / "absent")[0] == 1


def test_the_patient_is_told_only_when_asked(tmp_path: Path) -> None:
    save_series(series(), tmp_path / "in")
    for flags in ((), ("--json",)):
        _, out = call(tmp_path / "in", *flags)
        assert not [secret for secret in SECRETS if secret in out]
        _, out = call(tmp_path / "in", "--show-patient", *flags)
        assert f"{SECRETS[0]}^{SECRETS[1]}" in out and SECRETS[2] in out
