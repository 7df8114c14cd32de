from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medgen.batch import ledger as module
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.ledger_file import NAME
from medgen.batch.machine import is_network, machine
from medgen.bundles import BundleError
from medgen.scans.process import identity, is_alive

DONE = {"input": "i", "bundle_sha256": "b", "parameters": {"x": [1]}, "outputs": {"": [["a.nii.gz"], "h", "s"]}, "seconds": 2.0}


def planned(folder: Path, *names: str) -> Ledger:
    ledger = Ledger(folder)
    ledger.plan([(name, "blur") for name in names])
    return ledger


def test_a_case_goes_from_planned_to_done_and_is_there_after_closing(tmp_path: Path) -> None:
    with planned(tmp_path / "new/out", "a", "b") as ledger:
        a, b = ledger.rows()
        assert (a.name, a.state, b.state) == ("a", "planned", "planned")
        claimed = ledger.claim(a, "state")
        assert claimed is not None and claimed.state == "running" and ledger.held(claimed)
        assert ledger.done(claimed, **DONE)
        ledger.plan([("a", "blur"), ("c", "blur")])
    with Ledger(tmp_path / "new/out") as ledger:
        assert [(row.name, row.state) for row in ledger.rows()] == [("a", "done"), ("b", "planned"), ("c", "planned")]
        (row,) = ledger.rows("a")
        assert (row.outputs, row.parameters, row.input_state, row.seconds) == (DONE["outputs"], {"x": [1]}, "state", 2.0)
    assert [path.name for path in (tmp_path / "new/out").iterdir()] == [NAME]  # the journal is gone


def test_of_two_who_see_the_same_row_one_gets_it(tmp_path: Path) -> None:
    with planned(tmp_path, "a") as one, Ledger(tmp_path) as other:
        (row,) = one.rows("a")
        assert one.claim(row, "") is not None and other.claim(row, "") is None
        assert other.held(other.rows("a")[0]) and other.others() == [one.worker]


def test_what_is_held_is_given_back_on_closing(tmp_path: Path) -> None:
    with planned(tmp_path, "a") as ledger:
        ledger.claim(ledger.rows()[0], "")
    with Ledger(tmp_path) as ledger:
        assert ledger.rows()[0].state == "planned" and ledger.others() == []


def test_what_failed_or_is_done_is_planned_again_on_request(tmp_path: Path) -> None:
    with planned(tmp_path, "a", "b") as ledger:
        a, b = (ledger.claim(row, "") for row in ledger.rows())
        assert a and b and ledger.done(a, **DONE)
        assert ledger.fail(b, bundle_sha256="b", parameters={}, tried={"memory": None}, reason="because")
        names = [("a", "blur"), ("b", "blur")]
        ledger.plan(names)
        assert [(row.state, row.reason) for row in ledger.rows()] == [("done", None), ("failed", "because")]
        ledger.plan(names, retry=True)
        assert [row.state for row in ledger.rows()] == ["done", "planned"]
        ledger.plan(names, again=True)
        assert [row.state for row in ledger.rows()] == ["planned", "planned"]


def test_what_is_not_done_goes_when_its_place_is_empty(tmp_path: Path) -> None:
    with planned(tmp_path, "a", "b", "c") as ledger:
        row = ledger.claim(ledger.rows("a")[0], "")
        assert row and ledger.done(row, **DONE)
        ledger.enter_sources({"a": ("in", "in/a"), "b": ("in", "in/b"), "c": ("other", "other/c")}, ["in", "other"], ["in/d: broken"])
        ledger.enter_sources({"b2": ("in", "in/b")}, ["in"], [])  # the same scan, by another name
        assert [row.name for row in ledger.rows()] == ["a", "b", "c"] and ledger.unread() == []
        with Ledger(tmp_path):
            ledger.enter_sources({}, ["in"], ["in/e: broken"])
            assert [row.name for row in ledger.rows()] == ["a", "b", "c"]
        ledger.enter_sources({}, ["in"], ["in/e: broken"])
        assert [row.name for row in ledger.rows()] == ["a", "c"] and ledger.unread() == ["in/e: broken"]
        ledger.enter_sources({}, ["other"], [])
        assert [row.name for row in ledger.rows()] == ["a"] and ledger.unread() == ["in/e: broken"]


def _claim_and_wait(folder: Path) -> None:
    ledger = Ledger(folder)
    ledger.claim(ledger.rows()[0], "")
    time.sleep(60)


def test_the_claim_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    with planned(tmp_path, "a") as ledger:
        process = multiprocessing.get_context("fork").Process(target=_claim_and_wait, args=(tmp_path,))
        process.start()
        limit = time.monotonic() + 30
        while ledger.rows()[0].state != "running" and time.monotonic() < limit:
            time.sleep(0.01)
        (row,) = ledger.rows()
        assert ledger.held(row)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert not ledger.held(row)
        assert ledger.claim(row, "") is not None


def test_a_claim_that_was_lost_is_not_done(tmp_path: Path) -> None:
    with planned(tmp_path, "a") as slow, Ledger(tmp_path) as other:
        claimed = slow.claim(slow.rows()[0], "")
        assert claimed and other.claim(other.rows()[0], "") is not None  # as when the slow one was taken for dead
        assert not slow.done(claimed, **DONE)
        assert other.rows()[0].state == "running"


def test_another_machine_lives_while_its_count_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Ledger(tmp_path) as ledger:
        far = sqlite3.connect(tmp_path / NAME, isolation_level=None)
        far.execute("INSERT INTO workers VALUES ('far', 'elsewhere', '1-1', 0)")
        assert ledger.living("far")
        now[0] = module.SILENCE - 1
        assert ledger.living("far")
        far.execute("UPDATE workers SET beat = 1")
        now[0] = module.SILENCE + 1
        assert ledger.living("far")
        now[0] = 2 * module.SILENCE + 2
        assert not ledger.living("far")
        far.close()


def test_the_count_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.01)
    with Ledger(tmp_path) as ledger:
        far = sqlite3.connect(tmp_path / NAME)
        limit = time.monotonic() + 10
        while (beat := far.execute("SELECT beat FROM workers").fetchone()[0]) < 2 and time.monotonic() < limit:
            time.sleep(0.01)
        far.close()
        assert beat >= 2 and ledger.living(ledger.worker)


def test_kills_for_want_of_memory_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = [5]
    monkeypatch.setattr(module, "kills", lambda: killed[0])
    with planned(tmp_path, "a") as ledger:
        row = ledger.claim(ledger.rows()[0], "")
        assert row is not None and row.deaths == 0
        row = ledger.claim(row, "")  # its holder died of something else
        assert row is not None and row.deaths == 0
        killed[0] = 6
        row = ledger.claim(row, "")
        assert row is not None and row.deaths == 1
        assert ledger.done(row, **DONE) and ledger.rows()[0].deaths == 0


def test_the_journal_is_a_wal_where_machines_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for network, journal in ((False, "wal"), (True, "delete")):
        monkeypatch.setattr(module, "is_network", lambda _, network=network: network)
        with Ledger(tmp_path / journal):
            sql = sqlite3.connect(tmp_path / journal / NAME)
            assert sql.execute("PRAGMA journal_mode").fetchone() == (journal,)
            sql.close()
    assert not is_network(Path("/proc")) and machine() == machine()


def test_a_file_that_is_no_ledger_or_a_later_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(BundleError, match="is no ledger; move it away"):
        Ledger(tmp_path)
    (tmp_path / NAME).unlink()
    sql = sqlite3.connect(tmp_path / NAME)
    sql.execute("PRAGMA user_version=99")
    sql.close()
    with pytest.raises(BundleError, match="of a later version"):
        Ledger(tmp_path)
    with pytest.raises(BundleError, match="cannot be opened"):
        Ledger(tmp_path / "absent", only_read=True)


def test_a_ledger_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    with planned(tmp_path, "a") as ledger:
        ledger._sql.execute("PRAGMA max_page_count=1")  # SQLite's own full disk
        with pytest.raises(RunStopped, match="is full.*; free space, and the same again goes on"):
            ledger.plan([(f"{number}" * 400, "blur") for number in range(99)])
        ledger._sql.execute("PRAGMA max_page_count=100000")
        assert [row.name for row in ledger.rows()] == ["a"]  # all or nothing


def test_a_process_is_told_by_its_number_and_start() -> None:
    assert is_alive(identity()) and identity() == identity()
    number, _, start = identity().partition("-")
    assert not is_alive(f"{number}-{int(start) + 1}")  # another that had the same number
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert not is_alive(f"{child.pid}-0")
