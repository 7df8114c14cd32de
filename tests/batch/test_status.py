from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest
from rich.console import Console

from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME
from medgen.batch.status import extrapolate, show, show_extrapolation, status
from medgen.bundles import BundleError


def shown(folder: Path) -> str:
    console = Console(file=io.StringIO(), width=200)
    show(status(folder), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_how_a_run_stands(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="give the output folder of a run"):
        status(tmp_path)
    with Ledger(tmp_path) as ledger:
        assert "1 worker(s), at the first scans" in shown(tmp_path)
        ledger.plan([(f"c{number}", "blur") for number in range(7)])
        for number, seconds in ((0, 8.0), (1, 12.0)):
            row = ledger.claim(ledger.rows(f"c{number}")[0], "")
            assert row and ledger.done(row, input="", bundle_sha256="", parameters={}, outputs={}, seconds=seconds)
        bad, lost = (ledger.claim(ledger.rows(f"c{number}")[0], "") for number in (2, 3))
        assert bad and lost and ledger.fail(bad, bundle_sha256="", parameters={}, tried={}, reason="c2.nii: no image; copy it again")
        about = status(tmp_path)
        assert about == {
            "done": 2, "failed": 1, "running": 1, "interrupted": 0, "planned": 3, "workers": 1, "scans_an_hour": 360.0,
            "seconds_left": 40.0, "failures": [{"case": "c2", "reason": "c2.nii: no image; copy it again"}],
        }  # fmt: skip
        text = shown(tmp_path)
        assert "failed: c2.nii: no image; copy it again" in text and "2 done, 1 failed, 1 running, 3 planned" in text
        assert "1 worker(s), 360 scans an hour, about 40 s left" in text
        sql = sqlite3.connect(tmp_path / NAME)
        sql.execute("UPDATE cases SET worker='dead' WHERE name='c3'")
        sql.commit()
        sql.close()
        assert "1 interrupted" in shown(tmp_path)
    assert "nobody works on it: the same medgen run again goes on" in shown(tmp_path)


def test_what_a_million_scans_would_take(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.plan([(f"c{number}", "blur") for number in range(4)])
        with pytest.raises(BundleError, match="no scan is done, so there is nothing to go by; run some first"):
            extrapolate(tmp_path, 1000)
        for number, seconds in ((0, 8.0), (1, 12.0)):
            (tmp_path / f"c{number}.nii.gz").write_bytes(bytes(1000 + number))
            (tmp_path / f"c{number}.json").write_text('{"shape": [10, 10, 10], "dtype": "int16"}')
            outputs = {key: [[f"c{number}.{suffix}"], "", ""] for key, suffix in (("", "nii.gz"), ("json", "json"))}
            row = ledger.claim(ledger.rows(f"c{number}")[0], "")
            assert row and ledger.done(row, input="", bundle_sha256="", parameters={}, outputs=outputs, seconds=seconds)
    about = extrapolate(tmp_path, 1_000_000)
    each = 1000.5 + (tmp_path / "c0.json").stat().st_size
    assert (about["measured_on"], about["seconds_a_scan"], about["standard_error"]) == (2, 10.0, 2.0)
    assert about["hours"] == {1: 2777.8, 10: 277.8, 100: 27.8, 1000: 2.8}
    assert (about["bytes_read"], about["bytes_written"]) == (2_000_000_000, round(each * 1e6))
    assert about["bytes_of_ledger"] == (tmp_path / NAME).stat().st_size * 250_000
    console = Console(file=io.StringIO(), width=200)
    show_extrapolation(about, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1,000,000 scans, by 2 that took 10 s each" in text and "| 100 workers | 27.8 h |" in text
    assert "| read, without compression | 2.0 GB |" in text
    (tmp_path / "c1.json").unlink()  # as of results in an object store
    assert extrapolate(tmp_path, 10)["bytes_read"] is None


def test_who_leads_workers_counts_as_many(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, Ledger(tmp_path) as other:
        ledger.lead(3)
        assert len(other.others()) == 3 and status(tmp_path)["workers"] == 4
        ledger.lead(2)
        assert len(other.others()) == 2 and ledger.others() == [other.worker]
        ledger.lead(0)  # the others do all
        assert other.others() == [] and status(tmp_path)["workers"] == 1
    assert status(tmp_path)["workers"] == 0


def test_looking_changes_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.plan([("a", "blur")])
    before = (tmp_path / NAME).read_bytes()
    status(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before
