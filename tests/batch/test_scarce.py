"""Runs on a full disk, and in too little memory."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from medgen.batch.apply import apply
from medgen.batch.ledger import RunStopped
from medgen.batch.run import Options, run
from medgen.bundles import Bundle, open_bundle
from medgen.scans import Case, find, read
from tests.batch.killing import assert_same
from tests.batch.small_disk import empty, fill, on_small_disk
from tests.batch.tiny import quick_bundle, save, scans


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    opened = open_bundle(str(quick_bundle(tmp_path_factory.mktemp("bundle"))), "cpu")
    opened.network  # noqa: B018  loaded, for those that are forked
    return opened


def fill_and_go_on(bundle: Bundle, cases: list[Case], disk: Path, undisturbed: Path, left: list[int]) -> None:
    """Let the disk be full after the first result, but for some bytes; nothing is halved, and all is done in the end."""
    torch.set_num_threads(1)
    for number, size in enumerate(left):
        options, stopped = Options(disk / f"out{number}"), False
        results = run(bundle, cases, options)
        assert next(results).files
        fill(disk, size)
        try:
            assert not any(result.error for result in results)  # a full disk is no case's fault
        except RunStopped as error:
            stopped = "free space, and the same again goes on" in str(error)
        assert stopped
        for path in options.output.iterdir():
            assert path.name.startswith("ledger.sqlite") or path.read_bytes(), path.name
            if path.name.endswith(".nii.gz"):
                assert path.read_bytes() == (undisturbed / path.name).read_bytes()
        empty(disk)
        assert not any(result.error for result in run(bundle, cases, options))
        assert_same(options.output, undisturbed)


def test_a_full_disk_stops_the_run_and_halves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    cases = find(scans(tmp_path / "in", 4)).cases
    assert all(result.files for result in run(bundle, cases, Options(tmp_path / "undisturbed")))
    on_small_disk(tmp_path / "disk", 8, fill_and_go_on, bundle, cases, tmp_path / "disk", tmp_path / "undisturbed", [0, 4000, 9000])


def greedy() -> torch.nn.Module:
    """Return a network that holds 64 channels, and blurs."""
    one = torch.nn.Conv3d(1, 64, 3, padding=1)
    return torch.nn.Sequential(one, torch.nn.ReLU(), torch.nn.Conv3d(64, 1, 1)).eval()


def starve(bundle: Bundle, cases: list[Case], output: Path, mebibytes: int, told: multiprocessing.Queue[list[str | None]]) -> None:
    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20,) * 2)
    told.put([result.error for result in run(bundle, cases, Options(output))])


def starved(bundle: Bundle, cases: list[Case], output: Path, mebibytes: int) -> list[str | None]:
    """Run in a process that may take so much more memory, and return the errors."""
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    process = context.Process(target=starve, args=(bundle, cases, output, mebibytes, told))
    process.start()
    errors = told.get(timeout=120)
    process.join()
    return errors


def test_out_of_memory_means_smaller_tiles_then_a_failure_of_that_scan_alone(tmp_path: Path) -> None:
    root = quick_bundle(tmp_path)
    bundle = open_bundle(str(root), "cpu")
    bundle.__dict__["network"] = greedy()
    bundle.get("inferer").bf16 = False
    for name, shape in (("a", (20, 20, 20)), ("b", (90, 90, 80)), ("c", (20, 20, 20)), ("large", (180, 180, 130))):
        save(tmp_path / f"in/{name}.nii.gz", np.random.RandomState(0).rayleigh(90, shape).astype(np.int16))
    *cases, large = find(tmp_path / "in").cases
    apply(bundle, read(cases[0]))
    bundle.get("inferer")._known[1].halo  # noqa: B018  found while there is memory
    log = logging.FileHandler(tmp_path / "log")
    logging.getLogger("medgen.inference").addHandler(log)
    try:
        assert starved(bundle, cases, tmp_path / "some", 240) == [None, None, None]
    finally:
        logging.getLogger("medgen.inference").removeHandler(log)
    assert "out of memory with tiles of 648000 voxels; going on with half of that" in (tmp_path / "log").read_text()
    assert all(result.files for result in run(bundle, cases, Options(tmp_path / "enough")))
    a, b = (read(tmp_path / folder / "b_blur.nii.gz").image for folder in ("some", "enough"))
    assert float((a - b).abs().max()) <= 1
    little = starved(bundle, [cases[0], large, cases[2]], tmp_path / "little", 40)
    assert [error is None for error in little] == [True, False, True]
    assert "not enough memory for this scan" in str(little[1])
