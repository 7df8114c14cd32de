"""A run as Slicer calls it, without Slicer: results that cannot be written, sentences of which nothing can be made."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import pytest
import typer

from medgen.cli import app
from medgen.slicer.module import run
from tests.slicer import phantom
from tests.slicer.bundles import nothing, to_order

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


@pytest.mark.parametrize(("text", "said"), [("12 mm lesion, 15 mm", "two sizes"), (" ", "there is no text; say what to make")])
def test_a_sentence_of_which_nothing_can_be_made_is_one_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    to_order(tmp_path / "bundles")
    monkeypatch.setattr("medgen.bundles.folders", lambda: [tmp_path / "bundles"])
    assert run("synthesise from text", ["--bundle", "to_order", "--text", text, str(tmp_path / "out.nii")], COMMANDS) == 1
    error = capfd.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "out.nii").exists()
