"""Commands around the ledger: run again, status, watch, doctor; killed and stopped as processes are."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.batch.killing import tallied, tally
from tests.batch.tiny import ball, kill_once_there, quick_bundle, save, scans
from tests.test_cli import call


@pytest.fixture
def blur(tmp_path: Path) -> Path:
    return quick_bundle(tmp_path / "bundles")


def test_run_again_goes_on_and_status_tells(blur: Path, tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 3)
    (folder / "p2_T1.nii.gz").write_bytes(b"broken")
    run = ("run", blur, folder, "-o", folder / "out", "--device", "cpu")  # a results folder inside of the scans'
    code, out, _ = call(*run)
    assert code == 1 and "2 written" in out and "1 failed (--retry tries them again)" in out
    code, out, _ = call(*run)
    assert code == 1 and "0 written" in out and "2 were there already" in out and out.count("failed: ") == 1
    code, out, _ = call("status", folder / "out")
    assert code == 0 and "2 done, 1 failed" in out and "p2_T1.nii.gz: " in out
    assert json.loads(call("status", folder / "out", "--json")[1])["done"] == 2
    save(folder / "p2_T1.nii.gz", ball(2))
    code, out, _ = call(*run, "--json")
    assert code == 0 and [bool(json.loads(line)["files"]) for line in out.splitlines()] == [False, False, True]
    code, _, err = call("status", tmp_path)
    assert code == 2 and "give the output folder of a run" in err


def test_status_tells_what_could_not_be_read_and_no_more_what_is_gone(blur: Path, tmp_path: Path) -> None:
    folder, out = scans(tmp_path / "in", 1), tmp_path / "out"
    (folder / "h.nii.gz").write_bytes(b"broken")
    code, text, _ = call("run", blur, folder, tmp_path / "nonexist.nii.gz", "-o", out, "--device", "cpu")
    assert code == 1 and "1 written" in text and "2 failed (--retry tries them again)" in text
    text = call("status", out)[1]
    assert "1 done, 2 failed" in text and "h.nii.gz: " in text and "nonexist.nii.gz: there is no such file or folder" in text
    (folder / "h.nii.gz").unlink()
    assert call("run", blur, folder, "-o", out, "--device", "cpu")[0] == 0
    text = call("status", out)[1]
    assert "1 done" in text and "failed" not in text


def test_a_scan_that_is_done_stays_so_when_names_shift(blur: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    save(folder / "a/g.nii.gz", ball(0))
    run = ("run", blur, folder, "-o", out, "--device", "cpu")
    assert call(*run)[0] == 0
    save(folder / "b/g.nii.gz", ball(1))
    code, text, _ = call(*run, "--report")
    assert code == 0 and "1 written" in text and "1 were there already" in text and "2 done" in call("status", out)[1]
    assert sorted(path.name for path in out.glob("*.nii.gz")) == ["b_g_blur.nii.gz", "g_blur.nii.gz"]


def test_a_ledger_that_is_damaged_is_one_line(blur: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/ledger.sqlite").write_bytes(b"no ledger" * 999)
    code, _, err = call("run", blur, scans(tmp_path / "in", 1), "-o", tmp_path / "out", "--device", "cpu")
    assert code == 2 and "is no ledger; move it away" in err and len(err.strip().splitlines()) == 1


def test_a_run_that_is_killed_goes_on(blur: Path, tmp_path: Path) -> None:
    folder, out = scans(tmp_path / "in", 30), tmp_path / "out"
    tally(out)
    command = ["run", blur, folder, "-o", out, "--device", "cpu"]
    kill_once_there([sys.executable, "-m", "medgen.cli", *command], out / "p0_T1_blur.json")
    assert "nobody works on it" in call("status", out)[1]
    assert len(tallied(out)) < 30
    assert call(*command)[0] == 0
    assert tallied(out) == sorted(f"p{number}_T1_blur" for number in range(30))


def test_watch_runs_until_it_is_stopped(blur: Path, tmp_path: Path) -> None:
    folder = scans(tmp_path / "in", 1)
    command = [sys.executable, "-m", "medgen.cli", "watch", folder, "--bundle", blur, "-o", tmp_path / "out", "--device", "cpu",
               "--quiet", "0.2", "--poll", "0.1", "--json", "--log-json", tmp_path / "log"]  # fmt: skip
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["case"] == "p0_T1"
        save(folder / "p1_T1.nii.gz", ball(1))
        assert json.loads(process.stdout.readline())["case"] == "p1_T1"
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()].count("done") == 2


def test_watch_and_log_wrong_use(blur: Path, tmp_path: Path) -> None:
    code, _, err = call("watch", tmp_path / "absent", "--bundle", blur, "-o", tmp_path / "out")
    assert code == 2 and "there is no such folder" in err
    assert call("watch", tmp_path, "--bundle", blur, "-o", tmp_path / "out", "--format", "gif")[0] == 2
    code, _, err = call("run", blur, tmp_path, "-o", tmp_path / "out", "--log-json", tmp_path / "no/log")
    assert code == 2 and "choose another file for --log-json" in err


def test_doctor_is_for_people_and_machines() -> None:
    code, out, _ = call("doctor")
    assert code == 0 and "codecs:" in out and "no problems found" in out
    assert json.loads(call("doctor", "--json")[1])["problems"] == []
