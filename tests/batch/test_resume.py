"""A run goes on where it stopped: what is done stays, what changed or was killed is done again."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medgen.batch import claims
from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME
from medgen.batch.run import Options, run, without_results
from medgen.batch.status import status
from medgen.batch.workers import share
from medgen.bundles import Bundle, BundleError, open_bundle
from medgen.scans import Case, find
from medgen.scans.process import identity
from tests.batch.killing import Workers, assert_same, kill_at_random, tallied, tally
from tests.batch.tiny import ball, quick_bundle, save, scans


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    opened = open_bundle(str(quick_bundle(tmp_path_factory.mktemp("bundle"))), "cpu")
    opened.network  # noqa: B018  loaded, for those that are forked
    return opened


def cases_of(folder: Path) -> list[Case]:
    return find(folder).cases


def did(bundle: Bundle, folder: Path, options: Options) -> dict[str, bool | str | None]:
    """Run, and return for each case its error, or whether it was done now."""
    return {r.case.name: r.error or bool(r.files) for r in run(bundle, cases_of(folder), options)}


def test_only_what_changed_is_done_again(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = scans(tmp_path / "in", 3), Options(tmp_path / "out")
    everything = {f"p{number}_T1": True for number in range(3)}
    nothing = dict.fromkeys(everything, False)
    assert did(bundle, folder, options) == everything
    assert did(bundle, folder, options) == nothing
    save(folder / "p0_T1.nii.gz", ball(9))  # another scan of the same name
    (tmp_path / "out/p1_T1_blur.nii.gz").unlink()
    os.utime(folder / "p2_T1.nii.gz", (0, 4e9))  # touched, by a clock that is wrong
    assert did(bundle, folder, options) == {**nothing, "p0_T1": True, "p1_T1": True}
    (tmp_path / "out/p2_T1_blur.json").write_text("{}")
    assert did(bundle, folder, options) == {**nothing, "p2_T1": True}
    assert did(bundle, folder, options) == nothing
    shutil.copytree(tmp_path / "out", tmp_path / "elsewhere")  # other inodes and times, the same content
    assert did(bundle, folder, replace(options, output=tmp_path / "elsewhere")) == nothing
    assert did(bundle, folder, replace(options, deidentify=False, samples=3, seed=1)) == nothing  # of no influence here
    assert did(bundle, folder, replace(options, overwrite=True)) == everything


def test_another_bundle_or_setting_or_mask_is_a_change(tmp_path: Path) -> None:
    root, folder = quick_bundle(tmp_path), scans(tmp_path / "in", 1)
    options = Options(tmp_path / "out", mask=save(tmp_path / "mask.nii.gz", np.ones((28, 26, 24), np.uint8)))
    metadata = json.loads((root / "configs/metadata.json").read_text())
    metadata["settings"] = {"strength": {"default": 1, "help": "of nothing"}}
    (root / "configs/metadata.json").write_text(json.dumps(metadata))

    def again(**settings: int) -> bool | str | None:
        return did(open_bundle(str(root), "cpu", settings), folder, options)["p0_T1"]

    assert again() is True and again() is False
    assert again(strength=2) is True and again(strength=2) is False
    save(tmp_path / "mask.nii.gz", np.zeros((28, 26, 24), np.uint8))
    assert again(strength=2) is True and again(strength=2) is False
    (root / "configs/metadata.json").write_text(json.dumps({**metadata, "version": "9"}))
    assert again(strength=2) is True


def test_a_failure_keeps_its_reason_until_it_is_retried_or_something_changes(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = scans(tmp_path / "in", 2), Options(tmp_path / "out")
    whole = (folder / "p0_T1.nii.gz").read_bytes()
    (folder / "p0_T1.nii.gz").write_bytes(whole[:2000])
    first = did(bundle, folder, options)
    assert first["p1_T1"] is True and "cut short" in str(first["p0_T1"])
    assert did(bundle, folder, options) == {"p0_T1": first["p0_T1"], "p1_T1": False}
    with Ledger(options.output) as ledger:
        before = ledger.rows("p0_T1_blur")[0]
        assert before.state == "failed" and before.reason == first["p0_T1"]
    did(bundle, folder, options)
    did(bundle, folder, replace(options, retry=True))
    with Ledger(options.output) as ledger:
        assert ledger.rows("p0_T1_blur")[0].turn == before.turn + 3  # planned, claimed, failed, once
    for change in ({"permissive": True}, {"memory": 2.0}):
        did(bundle, folder, replace(options, **change))
        with Ledger(options.output) as ledger:
            assert change.items() <= ledger.rows("p0_T1_blur")[0].tried.items()
    (folder / "p0_T1.nii.gz").write_bytes(whole)
    assert did(bundle, folder, options) == {"p0_T1": True, "p1_T1": False}


def test_an_uncertainty_map_of_an_earlier_scan_does_not_stay(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = scans(tmp_path / "in", 1), Options(tmp_path / "out")
    did(bundle, folder, options)
    (tmp_path / "out/p0_T1_blur_uncertainty.nii.gz").write_bytes(b"of the first scan")
    with Ledger(options.output) as ledger:
        (row,) = ledger.rows()
        ledger.confirm(row, outputs={**row.outputs, "uncertainty": [["p0_T1_blur_uncertainty.nii.gz"], "h", "s"]})
    assert did(bundle, folder, options) == {"p0_T1": True}
    assert not (tmp_path / "out/p0_T1_blur_uncertainty.nii.gz").exists()


def test_killed_at_random_moments_nothing_is_lost_halved_or_done_twice(bundle: Bundle, tmp_path: Path) -> None:
    cases = cases_of(scans(tmp_path / "in", 12))
    assert all(result.files for result in run(bundle, cases, Options(tmp_path / "undisturbed")))
    tally(tmp_path / "out")
    killed = kill_at_random(bundle, cases, Options(tmp_path / "out"), workers=3, moments=6, pause=0.1, seed=1)
    assert killed >= 1
    assert tallied(tmp_path / "out") == sorted(f"{case.name}_blur" for case in cases)
    assert_same(tmp_path / "out", tmp_path / "undisturbed")


def test_what_a_killed_worker_left_is_removed_while_others_of_this_machine_work(bundle: Bundle, tmp_path: Path) -> None:
    cases, out = cases_of(scans(tmp_path / "in", 2)), tmp_path / "out"
    with Ledger(out):  # another worker, alive
        left, own = out / f".part_1-1_{'0' * 32}.nii.gz", out / f".part_{identity()}_{'0' * 32}.nii.gz"
        for path in (left, own):
            path.write_bytes(b"half")
        assert all(result.files for result in run(bundle, cases, Options(out)))
        assert not left.exists() and own.exists()
    own.unlink()
    with Ledger(out, far=True):  # one whose workers may write from other machines
        left.write_bytes(b"half")
        list(run(bundle, cases, Options(out)))
        assert left.exists()
    with sqlite3.connect(out / NAME) as sql:  # one on a machine whose processes cannot be seen
        sql.execute("INSERT INTO workers (id, machine, process, beat) VALUES ('x/1', 'elsewhere', '1-1', 1)")
    left.write_bytes(b"half")
    list(run(bundle, cases, Options(out)))
    assert left.exists()


def test_two_runs_at_once_share_the_work(bundle: Bundle, tmp_path: Path) -> None:
    cases = cases_of(scans(tmp_path / "in", 12))
    tally(tmp_path / "out")
    Workers(bundle, cases, Options(tmp_path / "out"), 2).join()
    assert tallied(tmp_path / "out") == sorted(f"{case.name}_blur" for case in cases)
    with Ledger(tmp_path / "out") as ledger:
        assert len({row.worker for row in ledger.rows()}) == 2


def test_worker_processes_settle_each_case_once(bundle: Bundle, tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 6)
    (folder / "p3_T1.nii.gz").write_bytes(b"broken")
    cases, options = cases_of(folder), Options(tmp_path / "out", workers=2)
    done = next(iter(run(bundle, cases[:1], options)))
    results = {result.case.name: result for result in share(bundle, cases, options)}
    assert done.files and sorted(results) == [case.name for case in cases]
    assert [name for name, result in results.items() if result.error] == ["p3_T1"]
    assert not results["p0_T1"].files and len([r for r in results.values() if r.files]) == 4


def test_a_run_whose_workers_are_starting_is_at_work(bundle: Bundle, tmp_path: Path) -> None:
    cases, options = cases_of(scans(tmp_path / "in", 6)), Options(tmp_path / "out", workers=2)
    seen, ended = [], threading.Event()

    def look() -> None:
        while not ended.is_set():
            with suppress(BundleError):  # none is there yet
                about = status(options.output)
                if about["planned"] + about["running"]:
                    seen.append((about["workers"], about["done"] + about["running"]))
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        assert all(result.files for result in share(bundle, cases, options))
    finally:
        ended.set()
        thread.join()
    starting = [workers for workers, begun in seen if not begun]
    assert len(starting) > 10 and min(starting) >= 1 and starting.count(2) > len(starting) / 2
    assert max(workers for workers, _ in seen) <= 4
    assert status(options.output)["workers"] == 0


def test_a_scan_that_gets_the_program_killed_twice_for_memory_fails_alone(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, options = scans(tmp_path / "in", 3), Options(tmp_path / "out")
    given: list[float | None] = []
    from medgen.batch import run as module

    real = module.apply
    monkeypatch.setattr(module, "apply", lambda *a, memory, **k: given.append(memory) or real(*a, memory=memory, **k))
    for deaths in (1, 2):
        with Ledger(options.output) as ledger:
            ledger.plan([("p1_T1_blur", "blur")], again=True)
            ledger._sql.execute("UPDATE cases SET state='planned', deaths=? WHERE name='p1_T1_blur'", (deaths,))
        results = list(run(bundle, cases_of(folder), options))
        if deaths == 1:  # alone, at the end, with half the memory
            assert [r.case.name for r in results] == ["p0_T1", "p2_T1", "p1_T1"] and given == [None, None, 1.5]
        else:
            assert {r.case.name for r in results if r.error} == {"p1_T1"} and claims.KILLED in str(results[-1].error)


def test_an_output_folder_inside_the_input_is_no_input(bundle: Bundle, tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 2)
    for _ in range(2):
        cases = without_results(cases_of(folder), [folder], folder / "out", bundle)
        assert [case.name for case in cases] == ["p0_T1", "p1_T1"]
        list(run(bundle, cases, Options(folder / "out")))
    inside = [folder / "out"]
    assert without_results(find(inside).cases, inside, folder / "out", bundle) == []
    named = [folder / "out/p0_T1_blur.nii.gz"]
    assert len(without_results(find(named).cases, named, folder / "out", bundle)) == 1


def test_inputs_are_only_read_and_deidentified_ledgers_know_no_names(bundle: Bundle, tmp_path: Path) -> None:
    folder = scans(tmp_path / "in_Mueller", 1)
    shutil.copy(folder / "p0_T1.nii.gz", folder / "Mueller.nii.gz")
    (folder / "Mueller2.nii.gz").write_bytes(b"broken")
    (folder / "Mueller3.nii.gz").write_bytes(b"\x1f\x8b broken")
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())}
    results = list(run(bundle, cases_of(folder), Options(tmp_path / "out", deidentify=True)))
    assert sum(bool(result.error) for result in results) == 2
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())} == before
    assert b"ueller" not in (tmp_path / "out" / NAME).read_bytes()
