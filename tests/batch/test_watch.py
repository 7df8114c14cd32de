from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from rich.console import Console

from medgen.batch import watch as module
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.run import Options, Result
from medgen.batch.watch import show, watch
from medgen.bundles import Bundle, open_bundle
from tests.batch.killing import tallied, tally
from tests.batch.tiny import ball, mr_series, quick_bundle, save

QUICK = {"quiet": 0.4, "poll": 0.05}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    opened = open_bundle(str(quick_bundle(tmp_path_factory.mktemp("bundle"))), "cpu")
    opened.network  # noqa: B018  loaded, for those that are forked
    return opened


class Watcher:
    """What a watch in a thread has told so far."""

    def __init__(self, bundle: Bundle, folder: Path, options: Options) -> None:
        self.stop, self.results = threading.Event(), list[Result]()
        self._thread = threading.Thread(target=self._watch, args=(bundle, folder, options))
        self._thread.start()

    def _watch(self, bundle: Bundle, folder: Path, options: Options) -> None:
        for result in watch(bundle, folder, options, stop=self.stop, **QUICK):
            self.results.append(result)

    def told(self, count: int, seconds: float = 60) -> list[str]:
        """Wait for so many results and a little longer, and return the names of the files, or the errors."""
        limit = time.monotonic() + seconds
        while len(self.results) < count and time.monotonic() < limit:
            time.sleep(0.02)
        time.sleep(1)
        return [result.error or result.files[0].name for result in self.results]

    def end(self) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def watching(bundle: Bundle, folder: Path, options: Options) -> Iterator[Watcher]:
    watcher = Watcher(bundle, folder, options)
    try:
        yield watcher
    finally:
        watcher.end()


def test_each_series_is_done_once_when_it_is_complete(bundle: Bundle, tmp_path: Path) -> None:
    incoming, options = tmp_path / "in", Options(tmp_path / "out")
    incoming.mkdir()
    slices = sorted(mr_series(tmp_path / "elsewhere", 1).iterdir())
    with watching(bundle, incoming, options) as watcher:
        (incoming / "one").mkdir()
        for path in slices:  # slower than a look, quicker than the quiet
            content = path.read_bytes()
            (incoming / "one" / path.name).write_bytes(content[: len(content) // 2])
            time.sleep(0.1)
            (incoming / "one" / path.name).write_bytes(content)
        assert watcher.results == []
        assert watcher.told(1) == ["one_blur.nii.gz"]
        save(incoming / "two.nii.gz", ball(2))
        assert watcher.told(2) == ["one_blur.nii.gz", "two_blur.nii.gz"]
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 2
    save(incoming / "three.nii.gz", ball(3))
    (tmp_path / "out/two_blur.nii.gz").rename(tmp_path / "two_taken.nii.gz")  # a result that was fetched is not made again
    with watching(bundle, incoming, options) as watcher:
        assert watcher.told(1) == ["three_blur.nii.gz"]


def test_no_result_takes_the_place_of_another_scans(bundle: Bundle, tmp_path: Path) -> None:
    incoming, options = tmp_path / "in", Options(tmp_path / "out")
    save(incoming / "scan.nii.gz", ball(1))
    with watching(bundle, incoming, options) as watcher:
        assert watcher.told(1) == ["scan_blur.nii.gz"]
        first = (tmp_path / "out/scan_blur.nii.gz").read_bytes()
        save(incoming / "scan.nii.gz", ball(2))
        assert watcher.told(2)[1:] == ["scan-2_blur.nii.gz"]
        save(incoming / "sub/scan.nii.gz", ball(2))  # the same again, elsewhere: other names for both
        assert watcher.told(2)[2:] == []
    assert (tmp_path / "out/scan_blur.nii.gz").read_bytes() == first


def test_a_series_in_a_flat_folder_waits_for_a_slice_that_is_still_written(bundle: Bundle, tmp_path: Path) -> None:
    incoming = tmp_path / "in"
    slices = sorted(mr_series(tmp_path / "elsewhere", 1).iterdir())
    incoming.mkdir()
    for path in slices[:-1]:
        shutil.copy(path, incoming)
    content, last = slices[-1].read_bytes(), incoming / slices[-1].name
    last.write_bytes(content[:200])
    with watching(bundle, incoming, Options(tmp_path / "out")) as watcher:
        for part in range(300, 1100, 100):  # its header is not even whole
            last.write_bytes(content[:part])
            time.sleep(0.15)
        assert watcher.results == []
        last.write_bytes(content)
        assert watcher.told(1) == ["in_blur.nii.gz"]


def test_a_bad_scan_fails_once_and_is_taken_when_it_was_replaced(bundle: Bundle, tmp_path: Path) -> None:
    incoming = tmp_path / "in"
    whole = save(incoming / "scan.nii.gz", ball(1)).read_bytes()
    (incoming / "scan.nii.gz").write_bytes(whole[:900])
    with watching(bundle, incoming, Options(tmp_path / "out")) as watcher:
        assert len(watcher.told(1)) == 1 and "cut short" in str(watcher.results[0].error)
        (incoming / "scan.nii.gz").write_bytes(whole)
        assert watcher.told(2)[1:] == ["scan_blur.nii.gz"]


def _watch_forever(bundle: Bundle, folder: Path, options: Options) -> None:
    torch.set_num_threads(1)
    for _ in watch(bundle, folder, options, **QUICK):
        pass


def test_a_watch_that_was_killed_goes_on(bundle: Bundle, tmp_path: Path) -> None:
    incoming, options = tmp_path / "in", Options(tmp_path / "out")
    for number in range(6):
        save(incoming / f"p{number}.nii.gz", ball(number))
    tally(options.output)
    process = multiprocessing.get_context("fork").Process(target=_watch_forever, args=(bundle, incoming, options))
    process.start()
    limit = time.monotonic() + 60
    while not list(options.output.glob("*.nii.gz")) and time.monotonic() < limit:
        time.sleep(0.005)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    before = len(tallied(options.output))
    assert before < 6
    with watching(bundle, incoming, options) as watcher:
        assert len(watcher.told(6 - before)) == 6 - before
    assert tallied(options.output) == [f"p{number}_blur" for number in range(6)]
    with Ledger(options.output) as ledger:
        assert {row.state for row in ledger.rows()} == {"done"}


def test_a_full_disk_is_waited_out(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "in/a.nii.gz", ball(1))
    real, calls = module.run, []

    def full_at_first(*arguments: object) -> Iterator[Result]:
        calls.append(arguments)
        if len(calls) == 1:
            raise RunStopped("out: No space left on device; free space, and the same again goes on")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "run", full_at_first)
    stop, screen = threading.Event(), Console(file=io.StringIO(), width=200)
    results = watch(bundle, tmp_path / "in", Options(tmp_path / "out"), patience=0.1, stop=stop, console=screen, **QUICK)
    show(iter([next(results)]), screen, False)
    stop.set()
    assert list(results) == []
    told = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "waiting: out: No space left" in told and "[1] a: " in told
