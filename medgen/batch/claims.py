"""Which cases of a run are done already, which are to be done, and which another process has in hand."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medgen.batch.ledger import DEATHS, Ledger
from medgen.batch.ledger_file import Row
from medgen.batch.logs import event
from medgen.batch.object_store import StoredCase
from medgen.batch.places import Folder, Place
from medgen.scans import Case
from medgen.scans.contents import content, files_of, state

POLL = 0.2  #: seconds between looks at what others have in hand
KILLED = "the system killed the program for want of memory, twice on this scan; give --memory, use another --device, or crop it"


@dataclass(frozen=True)
class Work:
    """A case, and all that its result depends on.

    Attributes:
        name: of its result, by which the ledger knows it.
        parameters: a result that was made with more of them, such as an uncertainty map that is not asked for now, is as good.
        tried: what else a failure may be due to, such as the memory allowed.
    """

    case: Case
    mask: Case | None
    name: str
    bundle: str
    bundle_sha256: str
    parameters: dict[str, Any]
    tried: dict[str, Any] = field(default_factory=dict)

    def files(self) -> list[Path]:
        """Return the files of the scan, then those of its mask."""
        return [*files_of(self.case), *(files_of(self.mask) if self.mask else [])]

    def input_state(self) -> str:
        """Return what changes when the files do; see `state`. Of an object, what the store told of it."""
        if isinstance(self.case, StoredCase):
            return input_hash(self.case, self.case.state, state(files_of(self.mask)) if self.mask else "")
        found = state(self.files())
        return found and input_hash(self.case, found)

    def input(self) -> str:
        """Return the hash of the scan's and the mask's content, which takes reading them; "" of an object: it is far away."""
        if isinstance(self.case, StoredCase):
            return ""
        return input_hash(self.case, content(files_of(self.case)), content(files_of(self.mask)) if self.mask else "")


@dataclass(frozen=True)
class Settled:
    """A case that is done, or that failed for a reason, and needs no work now."""

    work: Work
    reason: str | None = None


@dataclass(frozen=True)
class Claim:
    """A case that is this process's to do, since `at` (seconds, monotonic)."""

    work: Work
    row: Row
    at: float


class Claims:
    """Iterate over cases as they are settled or claimed; at the end wait for those that others have in hand.

    Where another process dies, its cases are claimed too, last: it may be that one of them killed it.
    """

    def __init__(self, ledger: Ledger, work: Sequence[Work], place: Place | None = None) -> None:
        self.ledger, self._work = ledger, list(work)
        self.place = place or Folder(ledger.path.parent)
        self._stopped = threading.Event()
        self._suspects: set[str] = set()

    def __iter__(self) -> Iterator[Settled | Claim]:
        return (found for found in self.looks() if found is not None)

    def looks(self) -> Iterator[Settled | Claim | None]:
        """Iterate likewise, and yield None each time after waiting for others, for who has something else to do meanwhile."""
        todo, waiting = self._work, False
        while todo and not self._stopped.is_set():
            left = []
            for work in todo:
                if self._stopped.is_set():
                    return
                outcome = self._take(work)
                if outcome is None:
                    left.append(work)
                else:
                    yield outcome
            if len(left) == len(todo):
                if not waiting:
                    event("waiting", cases=len(left), reason="others have them in hand")
                waiting = True
                self._stopped.wait(POLL)
                yield None
            todo = left

    def stop(self) -> None:
        """End the iteration, also while it waits for others."""
        self._stopped.set()

    def settled(self, work: Work, row: Row) -> Settled | None:
        """Return what became of a case earlier, if that holds for what is asked now, verified against the files."""
        if row.bundle_sha256 != work.bundle_sha256:
            return None
        if row.state == "failed":
            same = (row.input_state, row.parameters, row.tried) == (work.input_state(), work.parameters, work.tried)
            return Settled(work, row.reason) if same else None
        if row.state != "done" or not work.parameters.items() <= row.parameters.items():
            return None
        states: dict[str, Any] = {}
        outputs = {key: self._verified(*output) for key, output in row.outputs.items()}
        if not all(outputs.values()):
            return None
        if outputs != row.outputs:
            states["outputs"] = outputs
        input_state = work.input_state()
        if input_state != row.input_state:
            if work.input() != row.input:
                return None
            states["input_state"] = input_state
        if states:
            self.ledger.confirm(row, **states)
        return Settled(work)

    def _take(self, work: Work) -> Settled | Claim | None:
        while True:
            (row,) = self.ledger.rows(work.name)
            if self.ledger.held(row) or self._comes_last(row):
                return None
            settled = self.settled(work, row)
            if settled is not None:
                return settled
            claimed = self.ledger.claim(row, work.input_state())
            if claimed is None:
                continue
            if claimed.deaths < DEATHS:
                return Claim(work, claimed, time.perf_counter())
            self.fail(Claim(work, claimed, 0.0), f"{work.name}: {KILLED}")

    def fail(self, claim: Claim, reason: str) -> None:
        """Enter that a case failed."""
        work = claim.work
        self.ledger.fail(claim.row, bundle_sha256=work.bundle_sha256, parameters=work.parameters, tried=work.tried, reason=reason)

    def done(self, claim: Claim, input: str, outputs: dict[str, list[Any]], seconds: float) -> None:
        """Enter that a case is done: its results are in their place, recorded by name."""
        work = claim.work
        for key in claim.row.outputs.keys() - outputs.keys():  # such as an uncertainty, of an earlier scan or bundle
            self.place.remove(claim.row.outputs[key][0])
        self.ledger.done(claim.row, input=input, bundle_sha256=work.bundle_sha256, parameters=work.parameters, outputs=outputs,
                         seconds=seconds)  # fmt: skip

    def _comes_last(self, row: Row) -> bool:
        if row.state != "running" and not row.deaths or row.name in self._suspects:
            return False
        self._suspects.add(row.name)
        return True

    def _verified(self, names: list[str], digest: str, seen: str) -> list[Any] | None:
        """Return what is recorded of an output, with its state as it is now; None where it is not what was written."""
        now = self.place.state(names)
        if now == seen or (now and self.place.content(names) == digest):
            return [names, digest, now]
        return None


def input_hash(case: Case, *parts: str) -> str:
    """Return a hash of hashes, other for each of several volumes in the same files; it is not that of any file."""
    frames = [list(frames) for _, frames in sorted(case.parts.items())] if case.parts else []
    return hashlib.sha256(json.dumps([*parts, frames]).encode()).hexdigest()
