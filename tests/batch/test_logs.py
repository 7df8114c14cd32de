from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from medgen.batch.logs import JsonLines, event, log_target, write_json_lines
from medgen.batch.progress import follow
from medgen.batch.run import Options
from medgen.bundles import BundleError, open_bundle
from medgen.scans import find
from tests.batch.tiny import quick_bundle, scans


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    logger = logging.getLogger("medgen")
    logger.setLevel(logging.NOTSET)
    for handler in [h for h in logger.handlers if isinstance(h.formatter, JsonLines)]:
        logger.removeHandler(handler)
        handler.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_told_event_by_event(tmp_path: Path) -> None:
    write_json_lines(str(tmp_path / "log"))
    assert log_target() == str(tmp_path / "log")
    folder = scans(tmp_path / "in", 2)
    (folder / "p1_T1.nii.gz").write_bytes(b"broken")
    bundle = open_bundle(str(quick_bundle(tmp_path)), "cpu")
    assert follow(bundle, find(folder).cases, [], Options(tmp_path / "out"), Console(file=io.StringIO())) == 1
    told = [line for line in lines(tmp_path / "log") if line["event"] != "log"]
    assert [line["event"] for line in told if line.get("case") == "p0_T1_blur"] == ["reading", "restoring", "writing", "done"]
    assert [line["event"] for line in told if line.get("case") == "p1_T1_blur"] == ["reading", "failed"]
    assert [line["event"] for line in told if "case" not in line] == ["start", "progress", "progress", "end"]
    start, end = told[0], told[-1]
    assert (start["bundle"], start["cases"]) == ("blur", 2) and (end["written"], end["failed"]) == (1, 1)
    assert [(line["settled"], line["failed"]) for line in told if line["event"] == "progress"] == [(1, 0), (2, 1)]
    done = next(line for line in told if line["event"] == "done")
    assert done["files"] == [str(tmp_path / f"out/p0_T1_blur.{end}") for end in ("nii.gz", "json")]
    assert all(line["time"].endswith("+00:00") and line["elapsed"] >= 0 for line in told)


def test_texts_are_lines_too_and_a_new_target_takes_the_place_of_the_old(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json_lines(str(tmp_path / "log"))
    logging.getLogger("medgen.inference").warning("tiles of %d\nvoxels", 5)
    (line,) = lines(tmp_path / "log")
    assert (line["event"], line["level"], line["message"]) == ("log", "warning", "tiles of 5\nvoxels")
    write_json_lines("-")
    event("end", written=1)
    assert log_target() == "-" and len(lines(tmp_path / "log")) == 1
    assert json.loads(capsys.readouterr().err)["written"] == 1
    with pytest.raises(BundleError, match="choose another file for --log-json"):
        write_json_lines(str(tmp_path / "no/such/folder"))


def test_deidentified_names_no_file(tmp_path: Path) -> None:
    write_json_lines(str(tmp_path / "log"))
    folder = scans(tmp_path / "Mueller", 2)
    (folder / "p1_T1.nii.gz").write_bytes(b"broken")
    bundle = open_bundle(str(quick_bundle(tmp_path)), "cpu")
    follow(bundle, find(folder).cases, [], Options(tmp_path / "out", deidentify=True), Console(file=io.StringIO()))
    text = (tmp_path / "log").read_text()
    assert '"event": "failed"' in text
    assert "Mueller" not in text and "p0_T1" not in text and "p1_T1" not in text
