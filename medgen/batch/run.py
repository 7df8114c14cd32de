"""Run one bundle over many scans: the model is loaded once, reading and writing go on beside the network."""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medgen.batch.apply import Restored, apply
from medgen.batch.claims import Claim, Claims, Settled, Work, input_hash
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.logs import event
from medgen.batch.pairing import masks_of, read_mask
from medgen.batch.sidecar import describe, versions, write_json
from medgen.bundles import Bundle
from medgen.scans import Case, Scan, ScanError, read, write_nifti
from medgen.scans.deidentify import Deidentifier
from medgen.scans.dicom_derived import EDGE_ENHANCEMENT, RESAMPLING, SMOOTHING, Code, Maker
from medgen.scans.dicom_write import write_dicom
from medgen.scans.whole import remove_leftovers

#: What a bundle's metadata may say under "derivation".
DERIVATIONS: dict[str, Code] = {"smoothing": SMOOTHING, "edge enhancement": EDGE_ENHANCEMENT, "resampling": RESAMPLING}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  #: of errors in writing: no scan's fault
USUAL = 3.0  #: GiB that inference takes on a CPU, where they are free


@dataclass(frozen=True)
class Options:
    """What a user may choose for a run."""

    output: Path
    uncertainty: bool = False
    overwrite: bool = False
    samples: int = 8  #: draws of the latents for the uncertainty
    seed: int = 0
    format: str = "nifti"  #: "nifti", "dicom", or "same": DICOM where the input was
    deidentify: bool = False  #: no header and no file name of the input is told
    permissive: bool = False  #: scans with doubts that have a way out are taken, with a warning
    mask: Path | None = None  #: a mask (nonzero is to be worked on), or a folder of them, named like the scans
    memory: float | None = None  #: GiB for a volume, its result and the network; by default what is free, within reason
    retry: bool = False  #: scans that failed are tried again
    workers: int = 1  #: processes, for machines with more cores or GPUs than one network keeps busy (`batch.workers`)

    def is_dicom(self, case: Case) -> bool:
        """Return whether the restored scan is written as a DICOM series."""
        return self.format == "dicom" or (self.format == "same" and case.kind == "dicom")


@dataclass(frozen=True)
class Result:
    """What became of one case: files written, or an error in one line, or neither where it was done before or elsewhere."""

    case: Case
    files: tuple[Path, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    warnings: tuple[str, ...] = ()


def outputs(bundle: Bundle, case: Case, options: Options) -> dict[str, Path]:
    """Return the files that a case is written to; "" is the restored scan itself (of DICOM, a folder), "json" its sidecar."""
    name = stem(bundle, case, options)
    files = {"": options.output / (name if options.is_dicom(case) else f"{name}.nii.gz"), "json": options.output / f"{name}.json"}
    if options.uncertainty:
        files["uncertainty"] = options.output / f"{name}_uncertainty.nii.gz"
    return files


def stem(bundle: Bundle, case: Case, options: Options) -> str:
    """Return the name of a case's result, by which the ledger knows it."""
    return f"{_pseudonym(case) if options.deidentify else case.name}_{bundle.root.name}"


@cache
def _pseudonym(case: Case) -> str:
    """Return a name that stays the same from run to run, and cannot be guessed from a patient's: it takes the content too."""
    try:
        content = case.files[0].read_bytes()
    except OSError:
        content = b""  # which reading it will tell
    return f"case-{hashlib.sha256(case.name.encode() + content).hexdigest()[:10]}"


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
    tried = {"permissive": options.permissive, "memory": options.memory, "device": bundle.device, **drawn}
    return [
        Work(
            case, masks.get(case.name), stem(bundle, case, options), bundle.root.name, bundle.sha256,
            {"dicom": options.is_dicom(case), "deidentify": options.deidentify, "settings": bundle.settings, **drawn}, tried,
        )
        for case in cases
    ]  # fmt: skip


def begin(ledger: Ledger, work: list[Work], options: Options) -> None:
    """Enter what is to be done into the ledger, and clean up after runs that were killed."""
    if not ledger.others():
        remove_leftovers(options.output)
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
    deidentifier = Deidentifier() if options.deidentify else None
    each = iter(claims)

    def take() -> _Read | Settled | None:
        claim = next(each, None)
        if claim is None or isinstance(claim, Settled):
            return claim
        event("reading", case=claim.work.name)
        try:
            scan = read(claim.work.case, permissive=options.permissive)
            mask = read_mask(claim.work.mask, scan, permissive=options.permissive)
            return _Read(claim, scan, mask, input_hash(claim.work.case, scan.sha256, mask.sha256 if mask else ""))
        except Exception as error:  # noqa: BLE001  no scan may stop the others
            return _Read(claim, error=error)

    def restore(taken: _Read) -> tuple[Scan, Restored]:
        if taken.scan is None:
            raise taken.error or ValueError("was not read")
        event("restoring", case=taken.claim.work.name)
        scan = taken.scan if deidentifier is None else deidentifier.scan(taken.scan)
        memory = options.memory
        if taken.claim.row.deaths:  # half of what it had when the system killed the program
            memory = (memory or USUAL) / 2
        return scan, apply(
            bundle, scan, taken.mask, uncertainty=options.uncertainty, samples=options.samples, seed=options.seed, memory=memory
        )  # fmt: skip

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        written: Future[Result] | None = None
        ended = 0.0
        try:
            reading = reader.submit(take)
            while True:
                if written is not None:
                    wait([reading, written], return_when=FIRST_COMPLETED)
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
                        scan, restored = restore(taken)
                        began, ended = max(ended, taken.claim.at), time.perf_counter()
                        written = writer.submit(_write, bundle, claims, taken, scan, restored, options, ended - began)
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


def _failed(claims: Claims, claim: Claim, error: Exception, options: Options) -> Result:
    """Enter a failure into the ledger, and return it. Raises `RunStopped` where the disk is full."""
    if isinstance(error, RunStopped):
        raise error
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
        raise RunStopped(f"{options.output}: {error.__cause__.strerror}; free space, and the same again goes on") from None
    case = claim.work.case
    reason = one_line(case, error)
    told = _private(claim, error) if options.deidentify else reason
    claims.fail(claim, told)
    event("failed", case=claim.work.name, reason=told)
    return Result(case, error=reason)


def _private(claim: Claim, error: Exception) -> str:
    """Return what went wrong without the names of files, which may be a patient's."""
    what = f"{error.reason}; {error.remedy}" if isinstance(error, ScanError) else type(error).__name__
    return f"{claim.work.name}: {what}"


def one_line(case: Case, error: Exception) -> str:
    """Return what went wrong with a case in one line."""
    if isinstance(error, ScanError):
        return str(error)
    if str(error).startswith("applying transform") and error.__cause__ is not None:  # MONAI's wrapping of what went wrong
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        return f"{case.name}: not enough memory for this scan; use another --device, or crop the scan"
    return f"{case.name}: {text}"


def _write(
    bundle: Bundle, claims: Claims, taken: _Read, scan: Scan, restored: Restored, options: Options, seconds: float
) -> Result:
    work = taken.claim.work
    event("writing", case=work.name)
    files, images = outputs(bundle, work.case, options), dict(restored.images)
    try:
        if options.is_dicom(work.case):
            _write_series(bundle, files[""], images.pop(""), restored.grid)
        for key, array in images.items():
            dtype = np.dtype(np.float32) if key else None
            write_nifti(files[key], array, restored.grid, dtype=dtype, description=f"medgen {bundle.root.name} {key or 'derived'}")
        write_json(files["json"], _sidecar(bundle, scan, restored, files, options, seconds))
        claims.done(taken.claim, taken.input, files, seconds)
    except Exception as error:  # noqa: BLE001  no scan may stop the others
        return _failed(claims, taken.claim, error, options)
    event("done", case=work.name, seconds=round(seconds, 2), files=[str(path) for path in files.values()])
    return Result(work.case, tuple(files.values()), seconds, warnings=(*scan.warnings, *restored.warnings))


def _write_series(bundle: Bundle, folder: Path, array: np.ndarray, scan: Scan) -> None:
    metadata = bundle.metadata
    made = metadata.get("network_data_format", {}).get("outputs", {}).get("pred", {}).get("modality", "")
    maker = Maker(bundle.root.name, str(metadata.get("version", "")), str(metadata.get("weights_sha256", "")))
    synthetic = bool(metadata.get("synthetic"))
    modality = made if synthetic or not scan.modality else scan.modality
    what = str(metadata.get("task") or bundle.root.name).split(",")[0]
    derivation = DERIVATIONS.get(str(metadata.get("derivation")), SMOOTHING)
    write_dicom(
        folder, array, scan, description=what, maker=maker, derivation=derivation, synthetic=synthetic, modality=modality
    )  # fmt: skip


def _sidecar(
    bundle: Bundle, scan: Scan, restored: Restored, files: dict[str, Path], options: Options, seconds: float
) -> dict[str, Any]:
    """Return what it takes to know, and to repeat, how a file was made; no path and no header of the input."""
    return {
        "derived": True,
        "synthetic": bool(bundle.metadata.get("synthetic")),
        "bundle": bundle.root.name,
        "bundle_version": bundle.metadata.get("version"),
        "weights_sha256": bundle.metadata.get("weights_sha256"),
        "input_sha256": None if options.deidentify else scan.sha256,
        **describe(scan),
        "outputs": {key or "image": path.name for key, path in files.items() if key != "json"},
        "parameters": {"uncertainty": options.uncertainty, "samples": options.samples, "seed": options.seed, **bundle.settings},
        "report": restored.report,
        "device": str(bundle.device),
        "seconds": round(seconds, 2),
        "libraries": versions(),
    }
