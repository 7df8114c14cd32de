"""A run on many machines: dask's workers do the cases, this process alone keeps the ledger."""

from __future__ import annotations

import json
import logging
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.batch.claims import Claim, Claims, Settled
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.logs import LOG, event
from medgen.batch.object_store import Objects
from medgen.batch.places import Folder
from medgen.batch.results import Options, Result
from medgen.batch.run import begin, works
from medgen.bundles import Bundle, BundleError
from medgen.scans import Case
from medgen.scans.whole import remove_leftovers

if TYPE_CHECKING:
    from distributed import Client, Future

EXTRA = 'pip install "medgen[dask]"'
ANSWER = 20.0  #: seconds for a scheduler to answer
LOOK = 5.0  #: seconds between looks at which workers there are
IN_HAND = 4  #: scans that a worker has at a time: one in the network, the others are read, written, or about to be
KILLED = "workers were killed again and again over this scan (for want of memory?); give --memory or larger workers, and --retry"


def spread(bundle: Bundle, cases: list[Case], options: Options) -> Iterator[Result]:
    """Yield the result of each case, in the order in which they end, from the workers of `options.scheduler`.

    Workers may come, go and be killed: what they had is done by others. For the device "cuda", only workers with the resource
    GPU are asked; for "", each takes the best that it has.

    Raises as `run` does; `BundleError` where there is no scheduler or no fitting worker, `RunStopped` where the scheduler is
    lost. Then, or where this process is killed, the same again goes on.
    """
    options = replace(options, output=options.output.absolute(), mask=options.mask and options.mask.absolute())
    with _connected(str(options.scheduler)) as client, Ledger(options.output, far=True) as ledger:
        work = works(bundle, [_absolute(case) for case in cases], options)
        begin(ledger, work, options)
        claims = Claims(ledger, work, Objects(options.url) if options.url else Folder(options.output))
        crew = _Crew(client, claims, bundle, options)
        try:
            for found in claims.looks():
                if isinstance(found, Settled):
                    yield Result(found.work.case, error=found.reason)
                elif found is not None:
                    crew.send(found)
                yield from crew.results()
            yield from crew.results(to_the_end=True)
        finally:
            claims.stop()
            crew.dismiss()
        if not ledger.others():
            remove_leftovers(options.output)


def _absolute(case: Case) -> Case:
    """Return a case whose files are found from any working directory."""
    parts = case.parts and {path.absolute(): frames for path, frames in case.parts.items()}
    return replace(case, files=tuple(path.absolute() for path in case.files), parts=parts)


@contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError:
        raise BundleError(f"--engine dask needs dask.distributed: {EXTRA}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told in one line
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        client = Client(**where, timeout=ANSWER, set_as_default=False, name="medgen")
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{scheduler}: no dask scheduler answers ({str(error).splitlines()[0]}); start one (dask scheduler), or check the address"
        ) from None
    try:
        yield client
    finally:
        client.close(timeout=2)


class _Crew:
    """The workers of a scheduler, and the cases that they have in hand."""

    def __init__(self, client: Client, claims: Claims, bundle: Bundle, options: Options) -> None:
        self.client, self.claims, self.bundle, self.options = client, claims, bundle, options
        self.scheduler = str(options.scheduler)
        self.needs = {"GPU": 1 / IN_HAND} if bundle.device.startswith("cuda") else None
        self.sent: dict[Any, tuple[Claim, Future]] = {}
        self.again: list[Claim] = []  #: over which workers were killed
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.looked, self.workers, self.told = 0.0, -1, False
        self.look()

    def look(self) -> None:
        """Look, now and then, which workers there are. Raises `BundleError` where at the start none has what is needed."""
        if self.workers >= 0 and time.monotonic() - self.looked < LOOK:
            return
        try:
            info = self.client.scheduler_info(n_workers=-1)["workers"].values()
        except OSError:
            raise self.lost() from None
        fit = sum(1 for one in info if not self.needs or one["resources"].get("GPU", 0) > 0)
        if self.workers < 0 and info and not fit:
            raise BundleError(
                f"{self.scheduler}: none of its {len(info)} workers has the resource GPU; start them with --resources GPU=1, "
                "or choose --device cpu"
            )
        if fit != self.workers:
            self.claims.ledger.lead(max(1, fit))
            event("workers", count=fit)
        if not fit and not self.told:
            LOG.warning("%s: has no workers now; waiting for some (dask worker %s)", self.scheduler, self.scheduler)
        self.workers, self.told, self.looked = fit, not fit, time.monotonic()

    def check(self) -> None:
        """Raises `RunStopped` where the scheduler is lost."""
        if self.client.status != "running":
            raise self.lost()

    def lost(self) -> RunStopped:
        """Return the error of a scheduler that is lost."""
        return RunStopped(f"{self.scheduler}: the scheduler is lost; start it again, and the same again goes on")

    def send(self, claim: Claim) -> None:
        """Have a case done by a worker."""
        from medgen.batch.one_case import Order, do

        bundle, work, row = self.bundle, claim.work, claim.row
        settings = json.dumps(bundle.settings, sort_keys=True)
        order = Order(str(bundle.root), bundle.sha256, bundle.device or None, settings, work, self.options, row.deaths)
        key = (f"medgen-{self.claims.ledger.worker}", work.name, row.turn, row.deaths)  # dask learns by what keys begin with
        event("sent", case=work.name)
        self.check()
        future = self.client.submit(do, order, key=key, pure=False, resources=self.needs)
        self.sent[key] = claim, future
        future.add_done_callback(lambda done: self.ended.put(done.key))

    def results(self, *, to_the_end: bool = False) -> Iterator[Result]:
        """Yield what has come in, until there is room for another case, or none is left."""
        while True:
            self.check()
            self.look()
            if to_the_end and not self.sent and self.again:
                self.send(self.again.pop(0))  # alone: it may be that another's scan killed the workers that had it
            wait = len(self.sent) >= (1 if to_the_end else IN_HAND * max(1, self.workers))
            try:
                key = self.ended.get(timeout=1.0) if wait else self.ended.get_nowait()
            except queue.Empty:
                if not wait:
                    return
                continue
            result = self.settle(*self.sent.pop(key))
            if result is not None:
                yield result

    def settle(self, claim: Claim, future: Future) -> Result | None:
        """Enter into the ledger what became of a case; None where it is to be tried again."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            outcome: Any = future.result()
        except (CancelledError, CommClosedError):
            raise self.lost() from None
        except KilledWorker:
            if claim.row.deaths == 0:  # last, with half the memory
                self.again.append(replace(claim, row=replace(claim.row, deaths=1)))
                return None
            return self.failed(claim, f"{claim.work.name}: {KILLED}", f"{claim.work.name}: {KILLED}")
        except BundleError:
            raise
        except Exception as error:  # noqa: BLE001  not the scan's: those are outcomes
            self.check()
            text = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise RunStopped(
                f"{self.scheduler}: a worker cannot do it ({type(error).__name__}: {text}); install the same medgen on all machines"
            ) from None
        if outcome.error is not None:
            return self.failed(claim, outcome.error, outcome.kept)
        self.claims.done(claim, outcome.input, outcome.outputs, outcome.seconds)
        event("done", case=claim.work.name, seconds=round(outcome.seconds, 2), files=list(outcome.files))
        files = outcome.files if self.options.url else tuple(map(Path, outcome.files))
        return Result(claim.work.case, files, outcome.seconds, warnings=outcome.warnings)

    def failed(self, claim: Claim, shown: str, kept: str) -> Result:
        """Enter a failure into the ledger, and return it."""
        self.claims.fail(claim, kept)
        event("failed", case=claim.work.name, reason=kept)
        return Result(claim.work.case, error=shown)

    def dismiss(self) -> None:
        """Let go of what is still in hand."""
        if self.sent and self.client.status == "running":
            self.client.cancel([future for _, future in self.sent.values()], force=True)
