"""`medgen convert` writes every volume where it lies, says what it is, and lists what it refused."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from medgen.cli import app
from medgen.scans import read
from tests.scans.phantoms import SECRETS, assert_phantom, field, nifti_affine, nifti_image, save_series, series


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def four_d(path: Path, affine: np.ndarray) -> None:
    """Write a 4D phantom of three volumes; each adds 1000 to the one before."""
    volumes = [field(affine, (4, 5, 6)) + 1000 * t for t in range(3)]
    nib.save(nib.Nifti1Image(np.stack(volumes, -1).astype(np.float32), affine), path)


def test_a_series_becomes_nifti_with_a_sidecar(tmp_path: Path) -> None:
    slices = series()
    for ds in slices:
        ds.KVP, ds.EchoTime = "120", None
    save_series(slices, tmp_path / "in/study")
    scan = read(tmp_path / "in/study")
    code, out = call("convert", tmp_path / "in", "-o", tmp_path / "out")
    assert code == 0 and "1 files written" in out
    back = read(tmp_path / "out/study.nii.gz")
    assert_phantom(back, scan.image.affine.numpy(), (4, 6, 5))
    sidecar = json.loads((tmp_path / "out/study.json").read_text())
    assert (sidecar["modality"], sidecar["units"], sidecar["format"]) == ("CT", "HU", "dicom")
    assert (sidecar["shape"], sidecar["spacing_mm"], sidecar["orientation"]) == ([4, 6, 5], [1, 2, 3], "LPS")
    assert sidecar["acquisition"] == {"KVP": 120} and sidecar["input_sha256"] == scan.sha256
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["study.json", "study.nii.gz"]


def test_a_4d_image_is_split_or_kept_as_asked(tmp_path: Path) -> None:
    affine = nifti_affine()
    (tmp_path / "in").mkdir()
    four_d(tmp_path / "in/bold.nii.gz", affine)
    assert call("convert", tmp_path / "in", "-o", tmp_path / "split")[0] == 0
    assert sorted(path.name for path in (tmp_path / "split").glob("*.nii.gz")) == [f"bold_v00{t}.nii.gz" for t in range(3)]
    for t in range(3):
        volume = nib.load(tmp_path / f"split/bold_v00{t}.nii.gz")
        np.testing.assert_allclose(volume.get_fdata(), field(affine, (4, 5, 6)) + 1000 * t, atol=0.01)
    assert call("convert", tmp_path / "in", "-o", tmp_path / "whole", "--4d")[0] == 0
    whole = nib.load(tmp_path / "whole/bold.nii.gz")
    assert whole.shape == (4, 5, 6, 3)
    np.testing.assert_allclose(whole.get_fdata()[..., 2], field(affine, (4, 5, 6)) + 2000, atol=0.01)


def test_what_is_refused_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    save_series(series(), tmp_path / "in/good")
    slices = series()
    save_series(slices[:2] + slices[3:], tmp_path / "in/gap")
    (tmp_path / "in/broken.nii").write_bytes(b"no image")
    code, out = call("convert", tmp_path / "in", "-o", tmp_path / "out")
    assert code == 1 and "2 scans refused" in out and "slice(s) missing" in out and "broken.nii: is not a NIfTI file" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.json", "good.nii.gz"]


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    nib.save(nifti_image(nifti_affine()), tmp_path / "a.nii")
    call("convert", tmp_path / "a.nii", "-o", tmp_path / "out")
    before = (tmp_path / "out/a.nii.gz").stat().st_mtime_ns
    assert "were there already" in call("convert", tmp_path / "a.nii", "-o", tmp_path / "out")[1]
    assert (tmp_path / "out/a.nii.gz").stat().st_mtime_ns == before
    call("convert", tmp_path / "a.nii", "-o", tmp_path / "out", "--overwrite")
    assert (tmp_path / "out/a.nii.gz").stat().st_mtime_ns > before


def test_permissive_takes_a_doubtful_scan_and_says_so(tmp_path: Path) -> None:
    image = nifti_image(nifti_affine())
    data = image.get_fdata(dtype=np.float32)
    data[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "a.nii")
    code, out = call("convert", tmp_path / "a.nii", "-o", tmp_path / "out")
    assert code == 1 and "--permissive" in out
    code, out = call("convert", tmp_path / "a.nii", "-o", tmp_path / "out", "--permissive", "--json")
    line = json.loads(out)
    assert code == 0 and line["error"] is None and line["warnings"]
    assert json.loads((tmp_path / "out/a.json").read_text())["warnings"] == line["warnings"]


@pytest.mark.parametrize("flags", [(), ("--json",), ("--4d",)])
def test_nothing_of_the_patient_is_told(flags: tuple[str, ...], tmp_path: Path) -> None:
    save_series(series(), tmp_path / "in/study")
    _, out = call("convert", tmp_path / "in", "-o", tmp_path / "out", *flags)
    written = out.encode() + (tmp_path / "out/study.json").read_bytes()
    written += bytes(nib.load(tmp_path / "out/study.nii.gz").header.binaryblock)
    assert not [secret for secret in SECRETS if secret.lower().encode() in written.lower()]


def test_an_output_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    nib.save(nifti_image(nifti_affine()), tmp_path / "a.nii")
    (tmp_path / "out").write_text("a file")
    assert call("convert", tmp_path / "a.nii", "-o", tmp_path / "out")[0] == 2
