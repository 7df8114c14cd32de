"""How a run stands, from its ledger: done, failed and why, rate, time left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from rich.console import Console

from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME, Row
from medgen.bundles import BundleError


def status(folder: Path) -> dict[str, Any]:
    """Return how the runs on an output folder stand. Raises `BundleError` where there were none.

    The rate is that of the cases done, times the workers that live; no clock of day is in it.
    """
    if not (folder / NAME).is_file():
        raise BundleError(f"{folder}: holds no {NAME}; give the output folder of a run")
    with Ledger(folder, only_read=True) as ledger:
        rows, unread = ledger.rows(), ledger.unread()
        workers = len(ledger.others())
        states = Counter("interrupted" if row.state == "running" and not ledger.held(row) else row.state for row in rows)
    states["failed"] += len(unread)
    took = [row.seconds for row in rows if row.state == "done" and row.seconds]
    each = sum(took) / len(took) if took else None
    left = states["planned"] + states["running"] + states["interrupted"]
    return {
        **{state: states[state] for state in ("done", "failed", "running", "interrupted", "planned")},
        "workers": workers,
        "scans_an_hour": round(3600 * workers / each, 1) if each and workers else None,
        "seconds_left": round(left * each / workers, 1) if each and workers else None,
        "failures": [
            *({"case": row.name, "reason": row.reason} for row in rows if row.state == "failed"),
            *({"case": None, "reason": reason} for reason in unread),
        ],
    }


def extrapolate(folder: Path, scans: int) -> dict[str, Any]:
    """Return what so many scans would take, by what those that are done took: hours by the number of workers, and bytes.

    A worker's seconds are those between two scans, since reading and writing go on beside the network. What is read is told
    without compression. Raises `BundleError` where no scan is done.
    """
    with Ledger(folder, only_read=True) as ledger:
        rows = ledger.rows()
    done = [row for row in rows if row.state == "done" and row.seconds]
    if not done:
        raise BundleError(f"{folder}: no scan is done, so there is nothing to go by; run some first")
    took = [float(row.seconds or 0) for row in done]
    written = [sum(size for names, *_ in row.outputs.values() for size in _sizes(folder, names)) for row in done]
    read = [_voxel_bytes(folder, row) for row in done]
    each = mean(took)
    return {
        "scans": scans,
        "measured_on": len(done),
        "seconds_a_scan": round(each, 3),
        "standard_error": round(stdev(took) / len(took) ** 0.5, 3) if len(took) > 1 else None,
        "hours": {workers: round(scans * each / 3600 / workers, 1) for workers in (1, 10, 100, 1000)},
        "bytes_read": _times(read, scans),
        "bytes_written": _times(written, scans),
        "bytes_of_ledger": round((folder / NAME).stat().st_size / len(rows) * scans),
    }


def _times(each: list[int], scans: int) -> int | None:
    return round(mean(each) * scans) if all(each) else None  # results in an object store are not looked at


def _sizes(folder: Path, names: list[str]) -> list[int]:
    return [(folder / name).stat().st_size for name in names if (folder / name).is_file()]


def _voxel_bytes(folder: Path, row: Row) -> int:
    try:
        told = json.loads((folder / row.outputs["json"][0][0]).read_text())
        return int(np.dtype(told["dtype"]).itemsize * np.prod(told["shape"], dtype=np.int64))
    except (OSError, ValueError, KeyError):
        return 0


def show_extrapolation(about: dict[str, Any], console: Console) -> None:
    """Print what many scans would take, as a table in Markdown."""
    error = f" (standard error {about['standard_error']})" if about["standard_error"] is not None else ""
    console.print(f"{about['scans']:,} scans, by {about['measured_on']} that took {about['seconds_a_scan']:.3g} s each{error}:\n")
    sizes = {"read, without compression": about["bytes_read"], "written": about["bytes_written"], "ledger": about["bytes_of_ledger"]}
    rows = [(f"{workers:,} worker{'s' if workers > 1 else ''}", f"{hours:,.1f} h") for workers, hours in about["hours"].items()]
    rows += [(what, f"{size / 1e9:,.1f} GB") for what, size in sizes.items() if size is not None]
    for left, right in (("what", "how much"), ("---", "---"), *rows):
        console.print(f"| {left} | {right} |", markup=False)


def show(about: dict[str, Any], console: Console) -> None:
    """Print how a run stands."""
    for failure in about["failures"]:
        console.print(f"failed: {failure['reason']}", markup=False)
    states = [f"{about[state]} {state}" for state in ("done", "failed", "running", "interrupted", "planned") if about[state]]
    console.print(", ".join(states) or "nothing is planned")
    if about["scans_an_hour"]:
        pace = f"{about['workers']} worker(s), {about['scans_an_hour']:.0f} scans an hour"
        console.print(f"{pace}, about {_duration(about['seconds_left'])} left")
    elif about["workers"]:
        console.print(f"{about['workers']} worker(s), at the first scans")
    elif about["running"] + about["interrupted"] + about["planned"]:
        console.print("nobody works on it: the same medgen run again goes on")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
