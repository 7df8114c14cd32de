"""A run as Slicer calls it, without Slicer: where results cannot be written."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import pytest
import typer

from medgen.cli import app
from medgen.slicer.module import run
from tests.slicer import phantom
from tests.slicer.bundles import nothing

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_a_result_without_a_place_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    nothing(tmp_path / "bundles")
    monkeypatch.setattr("medgen.bundles.folders", lambda: [tmp_path / "bundles"])
    nib.save(nib.Nifti1Image(*phantom.scan("RAS")), tmp_path / "scan.nii")
    (tmp_path / "taken.nii").mkdir()
    for output, said, worked in (
        ("nowhere/out.nii", "its folder is not there; make it, or choose another", False),
        ("taken.nii", "cannot be written (Is a directory); free space, or choose another place", True),
    ):
        line = ["--bundle", "nothing", str(tmp_path / "scan.nii"), str(tmp_path / output)]
        assert run("denoise", line, COMMANDS) == 1
        out, error = capfd.readouterr()
        assert error == f"medgen: the output volume: {said}\n"
        assert ("running the network" in out) is worked
    assert run("denoise", [*line[:3], str(tmp_path / "out.nii")], COMMANDS) == 0 and capfd.readouterr().err == ""
    assert not (tmp_path / "nowhere").exists()
