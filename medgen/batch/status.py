"""How a run stands, from its ledger: done, failed and why, rate, time left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from medgen.batch.ledger import NAME, Ledger
from medgen.bundles import BundleError


def status(folder: Path) -> dict[str, Any]:
    """Return how the runs on an output folder stand. Raises `BundleError` where there were none.

    The rate is that of the cases done, times the workers that live; no clock of day is in it.
    """
    if not (folder / NAME).is_file():
        raise BundleError(f"{folder}: holds no {NAME}; give the output folder of a run")
    with Ledger(folder, only_read=True) as ledger:
        rows = ledger.rows()
        workers = len(ledger.others())
        states = Counter("interrupted" if row.state == "running" and not ledger.held(row) else row.state for row in rows)
    took = [row.seconds for row in rows if row.state == "done" and row.seconds]
    each = sum(took) / len(took) if took else None
    left = states["planned"] + states["running"] + states["interrupted"]
    return {
        **{state: states[state] for state in ("done", "failed", "running", "interrupted", "planned")},
        "workers": workers,
        "scans_an_hour": round(3600 * workers / each, 1) if each and workers else None,
        "seconds_left": round(left * each / workers, 1) if each and workers else None,
        "failures": [{"case": row.name, "reason": row.reason} for row in rows if row.state == "failed"],
    }


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
