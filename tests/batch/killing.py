"""Runs whose processes are killed at random, and what must hold after them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import torch

from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME
from medgen.batch.run import Options, run
from medgen.bundles import Bundle
from medgen.scans import Case

TALLY = """
CREATE TABLE tally (name TEXT);
CREATE TRIGGER tallied AFTER UPDATE ON cases WHEN NEW.state = 'done' AND OLD.state <> 'done'
BEGIN INSERT INTO tally VALUES (NEW.name); END;
"""


def tally(output: Path) -> None:
    """Let the ledger of a new output folder count how often each case is done."""
    with Ledger(output):
        pass
    with sqlite3.connect(output / NAME) as sql:
        sql.executescript(TALLY)
    sql.close()


def tallied(output: Path) -> list[str]:
    """Return the cases as often as they were done."""
    sql = sqlite3.connect(output / NAME)
    found = [name for (name,) in sql.execute("SELECT name FROM tally ORDER BY name")]
    sql.close()
    return found


class Workers:
    """Processes that run a bundle over cases, forked from this one, which has it open: they start at once."""

    def __init__(self, bundle: Bundle, cases: list[Case], options: Options, count: int) -> None:
        self.work = (bundle, cases, options)
        self.processes = [self._start() for _ in range(count)]

    def kill(self, number: int) -> None:
        """Kill one by SIGKILL and start another in its place."""
        os.kill(self.processes[number].pid or 0, signal.SIGKILL)
        self.processes[number].join()
        self.processes[number] = self._start()

    def kill_all(self) -> None:
        """Kill all at once, and start none."""
        for process in self.processes:
            os.kill(process.pid or 0, signal.SIGKILL)
        for process in self.processes:
            process.join()

    def finished(self) -> bool:
        """Say whether one has come to its end, when all cases are settled."""
        return any(process.exitcode == 0 for process in self.processes)

    def join(self) -> None:
        """Wait for all, who must come to a good end."""
        for process in self.processes:
            process.join(120)
            assert process.exitcode == 0

    def _start(self) -> multiprocessing.Process:
        process = multiprocessing.get_context("fork").Process(target=_run, args=self.work)
        process.start()
        return process  # type: ignore[return-value]


def _run(bundle: Bundle, cases: list[Case], options: Options) -> None:
    torch.set_num_threads(1)  # more of them do not survive a fork
    for _ in run(bundle, cases, options):
        pass


def kill_at_random(bundle: Bundle, cases: list[Case], options: Options, *, workers: int, moments: int, pause: float, seed: int) -> int:
    """Run to the end while at random moments a worker is killed, one in four times all at once; return how many moments there were."""
    rng = np.random.RandomState(seed)
    running, done = Workers(bundle, cases, options, workers), 0
    while done < moments and not running.finished():
        time.sleep(rng.exponential(pause))
        if rng.rand() < 0.25:
            running.kill_all()
            running = Workers(bundle, cases, options, workers)
        else:
            running.kill(rng.randint(workers))
        done += 1
    running.join()
    return done


def assert_same(output: Path, undisturbed: Path) -> None:
    """Check that two output folders hold the same files with the same content, but for the seconds that it took."""
    files = [{p.relative_to(o).as_posix(): p for p in sorted(o.rglob("*")) if not p.name.startswith(NAME)} for o in (output, undisturbed)]
    assert files[0].keys() == files[1].keys(), sorted(files[0].keys() ^ files[1].keys())
    for mine, other in zip(files[0].values(), files[1].values()):
        if mine.suffix == ".json":
            told = [{k: v for k, v in json.loads(path.read_text()).items() if k != "seconds"} for path in (mine, other)]
            assert told[0] == told[1], mine.name
        elif mine.is_file():
            assert mine.read_bytes() == other.read_bytes(), mine.name
