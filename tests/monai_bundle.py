"""`python -m monai.bundle` in a process of its own, which is forked from one that has torch and MONAI imported already."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["monai.bundle", "medgen.bundles", "medgen.scans.monai_io"])
LIMIT = 300  #: seconds


def fresh(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it from nothing, as a user does."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "monai.bundle", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)


def forked(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it without the seconds of imports: the same arguments, folder and exit code; what it tells is all in `stderr`."""
    return ended(started(*arguments, cwd=cwd))


def started(*arguments: str, cwd: Path, **environment: str) -> tuple[BaseProcess, Path]:
    """Start it, and return the process and the file of what it tells."""
    log = cwd / f"monai_{len(list(cwd.glob('monai_*.log')))}.log"
    log.touch()
    process = CONTEXT.Process(target=_run, args=(arguments, cwd, {"OMP_NUM_THREADS": "1", **environment}, log))
    process.start()
    return process, log


def ended(running: tuple[BaseProcess, Path]) -> subprocess.CompletedProcess[str]:
    """Wait for what was started."""
    process, log = running
    process.join(LIMIT)
    if process.exitcode is None:
        process.kill()
        process.join()
    return subprocess.CompletedProcess((), process.exitcode or 0, stderr=log.read_text())


def tell(out: Path, err: Path) -> None:
    """Let this process, and what it starts, write into files what it would print."""
    for number, path in ((1, out), (2, err)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)


def _run(arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], log: Path) -> None:
    tell(log, log)
    os.chdir(cwd)
    os.environ.update(environment)
    sys.argv = ["monai.bundle", *arguments]
    runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
