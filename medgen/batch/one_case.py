"""What a worker of another machine does: one case, from its scan to its results, with a network that stays loaded."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from distributed import get_worker

from medgen.batch.claims import Work
from medgen.batch.object_store import Objects, StoredCase, fetch
from medgen.batch.places import Folder, Place
from medgen.batch.results import Options, write
from medgen.batch.run import read_in, restored, why
from medgen.bundles import Bundle, BundleError, open_bundle
from medgen.scans import Case, ScanError
from medgen.scans.deidentify import Deidentifier

SHARE = 0.5  #: of a worker's memory that one scan may take on a CPU: others are read and written meanwhile
_LOADING, _NETWORK = threading.Lock(), threading.Lock()
_ended = 0.0  #: when the network was last done with a scan


@dataclass(frozen=True)
class Order:
    """One case, and all that it takes to do it: `deaths` is how often workers were killed over it."""

    bundle: str  #: its folder, as who orders sees it; a worker without such a folder takes its own of that name
    bundle_sha256: str
    device: str | None  #: None: each worker takes the best that it has
    settings: str  #: as JSON
    work: Work
    options: Options
    deaths: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of an order: what the ledger is to hold, and what a person is told."""

    files: tuple[str, ...] = ()
    seconds: float = 0.0
    input: str = ""
    outputs: dict[str, list[Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str | None = None
    kept: str = ""  #: of the error, what may be kept


def do(order: Order) -> Outcome:
    """Read, restore and write a case in this thread of a dask worker; while one thread has the network, others read and write.

    A bad scan is an error in the outcome. Raises `BundleError` where this machine cannot do any, `RunStopped` for a full disk
    or a store that does not answer.
    """
    bundle = _loaded(order.bundle, order.bundle_sha256, order.device, order.settings)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="scan_", dir=get_worker().local_directory) as name:
        options, place = _here(order.options, Path(name))
        try:
            with _as_file(order.work, Path(name)) as work:
                scan, mask, input = read_in(bundle, work, options)
            if options.deidentify:
                scan = Deidentifier(options.secret).scan(scan)
            with _NETWORK:
                made = restored(bundle, scan, mask, _within(options, bundle), order.deaths)
                seconds = _lap(started)
            if not _is_wanted():
                raise RuntimeError("nobody waits for this scan any more")
            files = write(bundle, order.work.case, scan, made, options, seconds)
            outputs = place.recorded(files)
        except BundleError:  # no scan's fault
            raise
        except Exception as error:  # noqa: BLE001  no scan may stop the others
            shown, kept = why(order.work, error, options)
            return Outcome(error=shown, kept=kept)
    above = order.options.url.rstrip("/") if order.options.url else str(options.output)
    told = tuple(f"{above}/{path.name}" for path in files.values())
    return Outcome(told, seconds, input, outputs, (*scan.warnings, *made.warnings))


def _loaded(folder: str, sha256: str, device: str | None, settings: str) -> Bundle:
    with _LOADING:
        return _load(folder, sha256, device, settings)


@lru_cache(maxsize=1)  # workers live long, and serve one run after the other
def _load(folder: str, sha256: str, device: str | None, settings: str) -> Bundle:
    """Open a bundle, the same that the order is for. Raises `BundleError` where this worker has no such bundle or device."""
    worker = get_worker()
    torch.set_num_threads(max(1, worker.state.nthreads))  # the network has them all: what others do beside it is little
    try:
        bundle = open_bundle(folder if Path(folder).is_dir() else Path(folder).name, device, json.loads(settings))
        bundle.network  # noqa: B018  a missing or altered checkpoint stops here
    except BundleError as error:
        raise BundleError(f"worker {worker.name} ({worker.address}): {error}") from None
    if bundle.sha256 != sha256:
        raise BundleError(
            f"worker {worker.name} ({worker.address}): its {bundle.root.name} is another version than the one here; "
            "install the same medgen and bundle on all machines"
        )
    return bundle


def _here(options: Options, folder: Path) -> tuple[Options, Place]:
    """Return options and place for results to be written on this machine, and kept where they belong."""
    if options.url is None:
        return options, Folder(options.output)
    made = folder / "out"
    made.mkdir()
    return replace(options, output=made), Objects(options.url)


@contextmanager
def _as_file(work: Work, folder: Path) -> Iterator[Work]:
    """Give a case as one of files; errors name its objects, not what was fetched."""
    if not isinstance(work.case, StoredCase):
        yield work
        return
    place = folder / "in"
    place.mkdir()
    case: Case = fetch(work.case, place)
    try:
        yield replace(work, case=case)
    except ScanError as error:
        above = work.case.urls[0].rpartition("/")[0]
        raise ScanError(error.path.replace(str(place), above), error.reason, error.remedy) from error.__cause__


def _within(options: Options, bundle: Bundle) -> Options:
    """Return the options with a scan's part of this worker's memory, where it has a limit and nothing else was chosen."""
    limit = get_worker().memory_manager.memory_limit
    if options.memory is not None or bundle.device != "cpu" or not limit:
        return options
    return replace(options, memory=SHARE * limit / 2**30)


def _lap(started: float) -> float:
    """Return the seconds that a scan took this worker, beside which others were read and written: they add up to its time."""
    global _ended
    now = time.perf_counter()
    began, _ended = max(_ended, started), now
    return now - began


def _is_wanted() -> bool:
    """Say whether the scheduler still waits for this thread's task: it may have lost this worker, or whoever ordered it."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is not None and task.state != "cancelled"
