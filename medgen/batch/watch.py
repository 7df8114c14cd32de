"""Run a bundle on each new scan that appears in a folder, once it is complete."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.logs import event
from medgen.batch.outbox import Outbox
from medgen.batch.progress import tell
from medgen.batch.receive import Inbox
from medgen.batch.results import stem
from medgen.batch.run import Options, Result, run, without_results, works
from medgen.bundles import Bundle
from medgen.scans import Case, ScanError
from medgen.scans.bids import scans_in
from medgen.scans.contents import files_of

Stamp = tuple[int, int, int]


class Arrivals:
    """Follow when the files of a folder changed last, by their sizes and times, on a clock that nobody sets.

    A file is not quiet either while its folder `is_open`: while the association stands that the last of it came by.
    """

    def __init__(self, folder: Path, output: Path, quiet: float, is_open: Callable[[Path], bool] = lambda _: False) -> None:
        self.folder, self.output, self.quiet, self.is_open = folder, output.resolve(), quiet, is_open
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        self._told: set[Path] = set()

    def look(self) -> bool:
        """Look at the folder; say whether there are files that have been quiet since, and were not so the last time."""
        now, seen = time.monotonic(), {}
        for path in _files(self.folder, self.output):
            try:
                about = path.stat()
            except OSError:
                continue  # gone, or a dangling link
            stamp = (about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            before = self._seen.get(path)
            seen[path] = before if before and before[0] == stamp else (stamp, now)
        self._seen = seen
        quiet = {path for path in seen if self._is_quiet(path)}
        fresh = quiet - self._told
        self._told = quiet
        return bool(fresh)

    def complete(self, cases: list[Case]) -> list[Case]:
        """Return the cases whose files have all been quiet.

        A single file of DICOM that is still being written may be a slice of any series in its folder.
        """
        doubtful = {case.files[0].parent for case in cases
                    if case.kind == "dicom" and len(case.files) == 1 and not self._is_quiet(case.files[0])}  # fmt: skip
        return [
            case for case in cases
            if all(self._is_quiet(path) for path in files_of(case))
            and not (case.kind == "dicom" and doubtful & {path.parent for path in case.files})
        ]  # fmt: skip

    def _is_quiet(self, path: Path) -> bool:
        seen = self._seen.get(path)
        return seen is not None and time.monotonic() - seen[1] >= self.quiet and not self.is_open(path.parent)


def watch(
    bundle: Bundle, folder: Path, options: Options, *, quiet: float = 10.0, poll: float = 2.0, patience: float = 60.0,
    stop: threading.Event | None = None, console: Console | None = None, inbox: Inbox | None = None, outbox: Outbox | None = None,
) -> Iterator[Result]:  # fmt: skip
    """Yield the result of each new scan in a folder, as they come, until `stop` is set.

    A scan is complete when none of its files changed for `quiet` seconds. What the ledger of the output folder knows, by
    content, is not done again: not after a restart, and not where its result was moved away. A name that is taken by the
    result of another scan gets a number. A full disk is waited out for `patience` seconds, again and again. What comes by
    an `inbox` into the folder is complete when it is quiet and nobody is about to send more; results go out by an `outbox`.
    """
    stop = stop or threading.Event()
    is_open = inbox.is_open if inbox else lambda _: False
    arrivals, again = Arrivals(folder, options.output, quiet, is_open), False
    while not stop.is_set():
        try:
            if outbox:
                outbox.send()
            if arrivals.look() or again:
                again = False
                cases = without_results(scans_in(folder).cases, [folder], options.output, bundle)
                new = _new(bundle, arrivals.complete(cases), options)
                for result in run(bundle, new, options) if new else ():
                    yield result
                    if outbox:
                        outbox.send(new=True)
                    if stop.is_set():
                        return
        except (RunStopped, ScanError) as error:
            event("waiting", reason=str(error))
            if console is not None:
                console.print(f"waiting: {error}", markup=False)
            again = True
            stop.wait(patience)
        stop.wait(poll)


def show(results: Iterator[Result], console: Console, json_lines: bool) -> None:
    """Print what becomes of each scan."""
    for number, result in enumerate(results, start=1):
        tell(result, str(number), console, json_lines)


def _new(bundle: Bundle, cases: list[Case], options: Options) -> list[Case]:
    """Return the cases that the ledger does not know, under names that no result of another scan has."""
    new: list[Case] = []
    with Ledger(options.output) as ledger:
        settled = [row for row in ledger.rows() if row.bundle == bundle.root.name and row.state in ("done", "failed")]
        states, inputs = {row.input_state: row for row in settled}, {row.input: row for row in settled if row.state == "done"}
        taken = {row.name for row in settled if row.state == "done"}
        for work in works(bundle, cases, options):
            if work.input_state() in states:
                continue
            known = inputs.get(work.input())
            if known is not None:
                ledger.confirm(known, input_state=work.input_state())
                continue
            case = work.case
            for number in itertools.count(2):
                if stem(bundle, case, options) not in taken:
                    break
                case = replace(work.case, name=f"{work.case.name}-{number}")
            taken.add(stem(bundle, case, options))
            new.append(case)
        if not ledger.others():  # what was planned under another name, when fewer scans lay in the folder
            ledger.forget(bundle.root.name, keep=taken)
    return new


def _files(folder: Path, output: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(place, name).resolve() != output]
        yield from (Path(place, name) for name in names if not name.startswith("."))
