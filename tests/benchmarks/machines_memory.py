"""Resident memory of all that takes part in a run by dask, along the run:

    python -m tests.benchmarks.machines_memory [--count 1000] [--workers 2]

A scheduler and workers as a user starts them, each a process, and `medgen run` in this one: scans of 48^3 through a network that
costs next to nothing. Prints a table in Markdown, and ends with an error where a case failed. --profile leaves dask's profiler on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from medgen.batch.many_machines import spread
from medgen.batch.run import Options
from medgen.bundles import open_bundle
from medgen.scans import find
from tests.batch.tiny import ball, quick_bundle, save

THREADS = 3  #: of a worker
AT = (0.1, 0.25, 0.5, 0.75, 1.0)  #: of the run, when is looked


@contextmanager
def processes(folder: Path, workers: int, profile: bool = False) -> Iterator[tuple[str, dict[str, int]]]:
    """Start a scheduler and workers, and give the file of its address, and their PIDs by what they are."""
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    worker = ["--no-nanny", "--nthreads", str(THREADS), "--memory-limit", "4GB", "--local-directory", str(folder / "scratch"), "--host", "127.0.0.1"]
    commands = {"scheduler": ["dask_scheduler", "--port", "0", "--host", "127.0.0.1", *common]}
    commands |= {f"worker {number}": ["dask_worker", *worker, *common] for number in range(1, workers + 1)}
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (module, *arguments) in commands.items():
            line = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
            env = {**os.environ, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": str(profile)}
            started[name] = subprocess.Popen(line, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not file.is_file():  # the workers read it
                time.sleep(0.1)
        yield str(file), {name: one.pid for name, one in started.items()}
    finally:
        for one in started.values():
            one.kill()
        for one in started.values():
            one.wait()


def resident(pid: int | str) -> float:
    """Return the resident memory of a process, in MiB."""
    fields = Path(f"/proc/{pid}/status").read_text().split()
    return int(fields[fields.index("VmRSS:") + 1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = open_bundle(str(quick_bundle(folder)), "cpu")
        for number in range(given.count):
            save(folder / f"in/s{number:04}.nii.gz", ball(number, (48, 48, 48)))
        looks = {round(share * given.count): {} for share in AT}
        started = time.perf_counter()
        with processes(folder, given.workers, given.profile) as (file, pids):
            options = Options(folder / "out", scheduler=file)
            for number, result in enumerate(spread(bundle, find(folder / "in").cases, options), 1):
                if result.error:
                    raise SystemExit(result.error)
                if number in looks:
                    looks[number] = {"medgen run": resident("self"), **{one: resident(pid) for one, pid in pids.items()}}
        seconds = time.perf_counter() - started
    print(f"{given.count} scans of 48^3 by {given.workers} dask workers, {seconds:.0f} s; resident memory in MiB after so many scans:\n")
    print(f"| process | {' | '.join(map(str, looks))} |\n|---|{'---|' * len(looks)}")
    for one in next(iter(looks.values())):
        print(f"| {one} | {' | '.join(f'{look[one]:.0f}' for look in looks.values())} |")


if __name__ == "__main__":
    main()
