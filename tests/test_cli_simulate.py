"""`medgen simulate`, as a user types it."""

from __future__ import annotations

from pathlib import Path

from tests.batch.test_simulate import files
from tests.test_cli import call

__all__ = ["files"]  # a fixture


def test_it_says_what_it_did_and_where(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, _, mask = files
    code, out, _ = call("simulate", head, "-o", tmp_path / "out", "--remove", mask, "--insert", "void", "--at", "-20,10,45", "--size", "20")
    assert code == 0 and 'removed:  {"fill": "fluid"' in out and "inserted: " in out and f"are in {tmp_path / 'out'}" in out


def test_wrong_use_is_one_line(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    for arguments, message in (
        (("--insert", "pacemaker"), "choose from: lesion, electrode, void"),
        (("--insert", "void", "--at", "1,2"), "three numbers are needed"),
        (("--text", "lesion on the left"), "give --labels"),
        (("--text", "12 mm"), ""),
    ):
        code, out, err = call("simulate", files[0], "-o", tmp_path / "out", *arguments)
        assert code == 2 and out == "" and err.count("\n") == 1 and message in err
