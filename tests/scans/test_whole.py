from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from medgen.scans import ScanError
from medgen.scans.whole import remove_leftovers, whole_file, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fill(folder: Path, text: str) -> None:
    for number in (1, 2):
        (folder / f"{number:04}.dcm").write_text(text)


def test_a_file_appears_whole_with_the_rights_of_any_new_file(tmp_path: Path) -> None:
    with whole_file(tmp_path / "new/a.nii.gz") as path:
        assert path.parent == tmp_path / "new" and path.name.startswith(".") and path.name.endswith(".nii.gz")
        path.write_text("first")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "new/a.nii.gz").stat().st_mode == (tmp_path / "other").stat().st_mode
    with whole_file(tmp_path / "new/a.nii.gz") as path:
        path.write_text("second")
        assert (tmp_path / "new/a.nii.gz").read_text() == "first"
    assert (tmp_path / "new/a.nii.gz").read_text() == "second" and names(tmp_path / "new") == ["a.nii.gz"]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), ValueError("any"), KeyboardInterrupt()])
def test_a_file_that_fails_half_way_leaves_the_earlier_one(stop: BaseException, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_text("first")
    with pytest.raises(ScanError if isinstance(stop, OSError) else type(stop)), whole_file(tmp_path / "a.dcm") as path:
        path.write_text("half")
        raise stop
    assert (tmp_path / "a.dcm").read_text() == "first" and names(tmp_path) == ["a.dcm"]


def test_a_folder_appears_whole_and_replaces_only_its_like(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole_folder(tmp_path / "new/out") as folder:
            fill(folder, text)
            assert not (tmp_path / "new/out").exists() or (tmp_path / "new/out/0001.dcm").read_text() == "first"
    (tmp_path / "other").mkdir()
    assert (tmp_path / "new/out").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert names(tmp_path / "new") == ["out", "out/0001.dcm", "out/0002.dcm"]
    assert (tmp_path / "new/out/0002.dcm").read_text() == "second"


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), ValueError("any"), KeyboardInterrupt()])
def test_a_folder_that_fails_half_way_leaves_the_earlier_one(stop: BaseException, tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as folder:
        fill(folder, "first")
    with pytest.raises(ScanError if isinstance(stop, OSError) else type(stop)), whole_folder(tmp_path / "out") as folder:
        (folder / "0001.dcm").write_text("half")
        raise stop
    assert names(tmp_path) == ["out", "out/0001.dcm", "out/0002.dcm"]
    assert (tmp_path / "out/0001.dcm").read_text() == "first"


def test_an_earlier_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole_folder(tmp_path / "out") as folder:
        fill(folder, "first")
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.startswith(".part_"):
            raise OSError(5, os.strerror(5))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ScanError, match="Input/output error"), whole_folder(tmp_path / "out") as folder:
        fill(folder, "second")
    assert names(tmp_path) == ["out", "out/0001.dcm", "out/0002.dcm"]
    assert (tmp_path / "out/0001.dcm").read_text() == "first"


@pytest.mark.parametrize(
    "mine",
    [
        lambda out: (out / "notes.txt").write_text("mine"),
        lambda out: (out / "0003.dcm.bak").write_text("mine"),
        lambda out: ((out / "sub").mkdir(), (out / "sub/0001.dcm").write_text("mine")),
        lambda out: (out / ".hidden").write_text("mine"),
    ],
)
def test_what_somebody_else_put_there_stays(mine: Callable[[Path], object], tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as folder:
        fill(folder, "first")
    mine(tmp_path / "out")
    before = names(tmp_path)
    with pytest.raises(ScanError, match="holds other files"), whole_folder(tmp_path / "out") as folder:
        fill(folder, "second")
    assert names(tmp_path) == before and (tmp_path / "out/0001.dcm").read_text() == "first"


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ScanError, match="is a file"), whole_folder(tmp_path / "file") as folder:
        fill(folder, "x")
    with pytest.raises(ScanError, match="cannot be written"), whole_folder(tmp_path / "file/below") as folder:
        fill(folder, "x")
    with pytest.raises(ScanError, match="cannot be written"), whole_file(tmp_path / "folder") as path:
        path.write_text("x")
    with pytest.raises(ScanError, match="cannot be written"), whole_file(tmp_path / "file/below.dcm") as path:
        path.write_text("x")
    assert names(tmp_path) == ["file", "folder"] and (tmp_path / "file").read_text() == "mine"


def die_half_way(folder: Path) -> None:
    with whole_file(folder / "a.nii.gz") as a, whole_folder(folder / "b") as b:
        a.write_text("half")
        (b / "1.dcm").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead = multiprocessing.get_context("fork").Process(target=die_half_way, args=(tmp_path,))
    dead.start()
    dead.join()
    assert len(names(tmp_path)) == 3
    (tmp_path / ".part_of_mine").write_text("")
    with whole_file(tmp_path / "c.json") as living:
        living.write_text("{}")
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([living.name, ".part_of_mine"])
    assert names(tmp_path) == [".part_of_mine", "c.json"]
