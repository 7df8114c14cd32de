"""Run one bundle over many scans: the model is loaded once, reading and writing go on beside the network."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgen.batch.apply import Restored, apply, repairs
from medgen.batch.claims import Claim, Claims, Settled, Work, input_hash
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.logs import event
from medgen.batch.pairing import masks_of, read_mask
from medgen.batch.results import Options, Result, outputs, stem, write
from medgen.bundles import Bundle
from medgen.inference.memory import GIB, free_memory, is_out_of_memory
from medgen.scans import Case, Scan, ScanError, read
from medgen.scans.deidentify import Deidentifier
from medgen.scans.whole import remove_leftovers

__all__ = ["Options", "Result", "one_line", "outputs", "run"]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  #: of errors in writing: no scan's fault
NO_MEMORY = "not enough memory for this scan; use another --device, or crop the scan"
USUAL = 3.0  #: GiB that inference takes on a CPU, where they are free
WORKERS_SHARE = 2 / 3  #: of the free memory for all workers together


def run(bundle: Bundle, cases: list[Case], options: Options) -> Iterator[Result]:
    """Yield the result of each case; a bad case is an error in its result, never an exception.

    The next scan is read, and the last one written, while the network works. The ledger of the output folder says what is
    done already, and is left alone; other runs on the folder share the work. What was killed is done again.

    Raises `BundleError` for an output folder that cannot be used, `RunStopped` where a full disk or the like ends the run.
    """
    work = works(bundle, cases, options)
    with Ledger(options.output) as ledger:
        begin(ledger, work, options)
        yield from _pipeline(bundle, Claims(ledger, work), options)


def works(bundle: Bundle, cases: list[Case], options: Options) -> list[Work]:
    """Return the cases with all that their results depend on. Raises `ScanError` where one has no mask."""
    masks = masks_of(options.mask, cases) if options.mask else {}
    drawn = {"uncertainty": True, "samples": options.samples, "seed": options.seed} if options.uncertainty else {}
    drawn |= {"fills": options.fills} if options.fills else {}
    tried = {"permissive": options.permissive, "memory": options.memory, "device": bundle.device, **drawn}
    return [
        Work(
            case, masks.get(case.name), stem(bundle, case, options), bundle.root.name, bundle.sha256,
            {"dicom": options.is_dicom(case), "deidentify": options.deidentify, "settings": bundle.settings, **drawn}, tried,
        )
        for case in cases
    ]  # fmt: skip


def without_results(cases: list[Case], paths: Sequence[Path], output: Path, bundle: Bundle) -> list[Case]:
    """Return the cases but for earlier results: a run over a folder that holds its output folder is no run over that too.

    Where the output folder itself is given, or a folder in it, what this bundle made is left out. A file that is named is
    always taken.
    """
    place, given = output.resolve(), [path.resolve() for path in paths]
    above = any(path in place.parents for path in given)

    def is_result(case: Case) -> bool:
        file = case.files[0].resolve()
        made = re.search(rf"_{re.escape(bundle.root.name)}(_uncertainty|_fills)?$", case.name) is not None
        return place in file.parents and file not in given and (above or made)

    return [case for case in cases if not is_result(case)]


def begin(ledger: Ledger, work: list[Work], options: Options) -> None:
    """Enter what is to be done into the ledger, and clean up after runs that were killed."""
    if not ledger.elsewhere():  # whose processes cannot be told to be dead
        for folder in (options.output, *(options.output.glob("sub-*/**/anat") if options.bids else ())):
            remove_leftovers(folder)
    ledger.plan(((one.name, one.bundle) for one in work), retry=options.retry, again=options.overwrite)


@dataclass(frozen=True)
class _Read:
    """A case that was claimed and read, or could not be."""

    claim: Claim
    scan: Scan | None = None
    mask: Scan | None = None
    input: str = ""  #: hash of what was read
    error: Exception | None = None


def _pipeline(bundle: Bundle, claims: Claims, options: Options) -> Iterator[Result]:
    deidentifier = Deidentifier(options.secret) if options.deidentify else None
    each = iter(claims)

    def take() -> _Read | Settled | None:
        claim = next(each, None)
        if claim is None or isinstance(claim, Settled):
            return claim
        event("reading", case=claim.work.name)
        try:
            return _Read(claim, *read_in(bundle, claim.work, options))
        except Exception as error:  # noqa: BLE001  no scan may stop the others
            return _Read(claim, error=error)

    def restore(taken: _Read) -> tuple[Scan, Restored]:
        if taken.scan is None:
            raise taken.error or ValueError("was not read")
        event("restoring", case=taken.claim.work.name)
        scan = taken.scan if deidentifier is None else deidentifier.scan(taken.scan)
        return scan, restored(bundle, scan, taken.mask, options, taken.claim.row.deaths)

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        written: Future[Result] | None = None
        ended = 0.0
        try:
            reading = reader.submit(take)
            while True:
                if written is not None:
                    first: list[Future[Any]] = [reading, written]
                    wait(first, return_when=FIRST_COMPLETED)
                    if written.done():
                        yield written.result()
                        written = None
                taken = reading.result()
                if taken is None:
                    break
                alone = isinstance(taken, _Read) and taken.claim.row.deaths > 0
                if not alone:
                    reading = reader.submit(take)
                previous, result = written, None
                if isinstance(taken, Settled):
                    result = Result(taken.work.case, error=taken.reason)
                else:
                    try:
                        scan, made = restore(taken)
                        began, ended = max(ended, taken.claim.at), time.perf_counter()
                        written = writer.submit(_write, bundle, claims, taken, scan, made, options, ended - began)
                    except Exception as error:  # noqa: BLE001  no scan may stop the others
                        result = _failed(claims, taken.claim, error, options)
                    del taken  # memory: the next scan is here already
                if previous is not None:
                    yield previous.result()
                if result is not None:
                    written = None
                    yield result
                if alone:
                    if written is not None:
                        yield written.result()
                        written = None
                    reading = reader.submit(take)
            if written is not None:
                yield written.result()
        finally:
            claims.stop()


def read_in(bundle: Bundle, work: Work, options: Options) -> tuple[Scan, Scan | None, str]:
    """Return a case's scan, its mask where it has one, and the hash of what was read."""
    scan = read(work.case, permissive=options.permissive, repair=repairs(bundle))
    mask = read_mask(work.mask, scan, permissive=options.permissive)
    return scan, mask, input_hash(work.case, scan.sha256, mask.sha256 if mask else "")


def restored(bundle: Bundle, scan: Scan, mask: Scan | None, options: Options, deaths: int) -> Restored:
    """Return what a bundle makes of a scan, as the options want it, of one that `deaths` programs were killed over."""
    return apply(
        bundle, scan, mask, uncertainty=options.uncertainty, samples=options.samples, seed=options.seed,
        memory=_memory(bundle, options, deaths), fills=options.fills,
    )  # fmt: skip


def _memory(bundle: Bundle, options: Options, deaths: int) -> float | None:
    """Return the GiB that a scan may take: of several workers each a part, and half where the program was killed over it."""
    memory = options.memory
    if memory is None and options.workers > 1 and bundle.device == "cpu":
        memory = WORKERS_SHARE * free_memory() / GIB / options.workers
    return (memory or USUAL) / 2 if deaths else memory


def _failed(claims: Claims, claim: Claim, error: Exception, options: Options) -> Result:
    """Enter a failure into the ledger, and return it. Raises `RunStopped` where the disk is full."""
    reason, kept = why(claim.work, error, options)
    claims.fail(claim, kept)
    event("failed", case=claim.work.name, reason=kept)
    return Result(claim.work.case, error=reason)


def why(work: Work, error: Exception, options: Options) -> tuple[str, str]:
    """Return what went wrong with a case in one line, and what of it may be kept.

    Raises `RunStopped` where it is no scan's fault: the disk is full.
    """
    if isinstance(error, RunStopped):
        raise error
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
        raise RunStopped(f"{options.output}: {error.__cause__.strerror}; free space, and the same again goes on") from None
    reason = one_line(work.case, error)
    return reason, _private(work, error) if options.deidentify else reason


def _private(work: Work, error: Exception) -> str:
    """Return what went wrong without the names of files, which may be a patient's."""
    if one_line(work.case, error).endswith(NO_MEMORY):
        return f"{work.name}: {NO_MEMORY}"
    what = f"{error.reason}; {error.remedy}" if isinstance(error, ScanError) else type(error).__name__
    return f"{work.name}: {what}"


def one_line(case: Case, error: Exception) -> str:
    """Return what went wrong with a case in one line."""
    if isinstance(error, ScanError):
        return str(error)
    if str(error).startswith("applying transform") and error.__cause__ is not None:  # MONAI's wrapping of what went wrong
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if is_out_of_memory(error):
        return f"{case.name}: {NO_MEMORY}"
    return f"{case.name}: {text}"


def _write(
    bundle: Bundle, claims: Claims, taken: _Read, scan: Scan, made: Restored, options: Options, seconds: float
) -> Result:
    work = taken.claim.work
    event("writing", case=work.name)
    try:
        files = write(bundle, work.case, scan, made, options, seconds)
        claims.done(taken.claim, taken.input, claims.place.recorded(files), seconds)
    except Exception as error:  # noqa: BLE001  no scan may stop the others
        return _failed(claims, taken.claim, error, options)
    event("done", case=work.name, seconds=round(seconds, 2), files=[str(path) for path in files.values()])
    return Result(work.case, tuple(files.values()), seconds, warnings=(*scan.warnings, *made.warnings))
