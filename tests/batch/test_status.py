from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest
from rich.console import Console

from medgen.batch.ledger import NAME, Ledger
from medgen.batch.status import show, status
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


def test_looking_changes_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.plan([("a", "blur")])
    before = (tmp_path / NAME).read_bytes()
    status(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before
