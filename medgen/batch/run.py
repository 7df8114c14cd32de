"""Run one bundle over many scans: the model is loaded once, reading and writing go on beside the network."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medgen.batch.apply import Restored, apply
from medgen.batch.pairing import masks_of, read_mask
from medgen.batch.sidecar import describe, versions, write_json
from medgen.bundles import Bundle
from medgen.scans import Case, Scan, ScanError, read, write_nifti
from medgen.scans.deidentify import Deidentifier
from medgen.scans.dicom_derived import EDGE_ENHANCEMENT, RESAMPLING, SMOOTHING, Code, Maker
from medgen.scans.dicom_write import write_dicom

#: What a bundle's metadata may say under "derivation".
DERIVATIONS: dict[str, Code] = {"smoothing": SMOOTHING, "edge enhancement": EDGE_ENHANCEMENT, "resampling": RESAMPLING}


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

    def is_dicom(self, case: Case) -> bool:
        """Return whether the restored scan is written as a DICOM series."""
        return self.format == "dicom" or (self.format == "same" and case.kind == "dicom")


@dataclass(frozen=True)
class Result:
    """What became of one case: files written, or an error in one line, or neither where it was done before."""

    case: Case
    files: tuple[Path, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    warnings: tuple[str, ...] = ()


def outputs(bundle: Bundle, case: Case, options: Options) -> dict[str, Path]:
    """Return the files that a case is written to; "" is the restored scan itself (of DICOM, a folder), "json" its sidecar."""
    name = _pseudonym(case) if options.deidentify else case.name
    stem = f"{name}_{bundle.root.name}"
    files = {"": options.output / (stem if options.is_dicom(case) else f"{stem}.nii.gz"), "json": options.output / f"{stem}.json"}
    if options.uncertainty:
        files["uncertainty"] = options.output / f"{stem}_uncertainty.nii.gz"
    return files


@cache
def _pseudonym(case: Case) -> str:
    """Return a name that stays the same from run to run, and cannot be guessed from a patient's: it takes the content too."""
    try:
        content = case.files[0].read_bytes()
    except OSError:
        content = b""  # which reading it will tell
    return f"case-{hashlib.sha256(case.name.encode() + content).hexdigest()[:10]}"


def run(bundle: Bundle, cases: list[Case], options: Options) -> Iterator[Result]:
    """Yield the result of each case in order; a bad case is an error in its result, never an exception.

    The next scan is read, and the last one written, while the network works. Files appear whole or not at all; the
    sidecar comes last, so that a case with a sidecar is done, and is left alone unless `overwrite`.
    """
    deidentifier = Deidentifier() if options.deidentify else None
    masks = masks_of(options.mask, cases) if options.mask else {}

    def load(case: Case) -> tuple[Scan, Scan | None]:
        scan = read(case, permissive=options.permissive)
        return scan, read_mask(masks.get(case.name), scan, permissive=options.permissive)

    todo = [case for case in cases if options.overwrite or not _done(bundle, case, options)]
    for case in cases:
        if case not in todo:
            yield Result(case)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        ahead = [reader.submit(load, case) for case in todo[:1]]
        written: Future[Result] | None = None
        for number, case in enumerate(todo):
            started = time.perf_counter()
            reading = ahead.pop()
            following = todo[number + 1 : number + 2]
            ahead.extend(reader.submit(load, case) for case in following)
            try:
                scan, mask = reading.result()
                scan = scan if deidentifier is None else deidentifier.scan(scan)
                restored = apply(
                    bundle, scan, mask, uncertainty=options.uncertainty, samples=options.samples, seed=options.seed,
                    memory=options.memory,
                )  # fmt: skip
            except (ScanError, ValueError, RuntimeError, MemoryError) as error:
                failed = Result(case, error=one_line(case, error))
                if written is not None:
                    yield written.result()
                    written = None
                yield failed
                continue
            seconds = time.perf_counter() - started
            previous, written = written, writer.submit(_write, bundle, case, scan, restored, options, seconds)
            if previous is not None:
                yield previous.result()
        if written is not None:
            yield written.result()


def _done(bundle: Bundle, case: Case, options: Options) -> bool:
    return all(path.exists() for path in outputs(bundle, case, options).values())


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


def _write(bundle: Bundle, case: Case, scan: Scan, restored: Restored, options: Options, seconds: float) -> Result:
    files, images = outputs(bundle, case, options), dict(restored.images)
    try:
        if options.is_dicom(case):
            _write_series(bundle, files[""], images.pop(""), restored.grid)
        for key, array in images.items():
            dtype = np.dtype(np.float32) if key else None
            write_nifti(files[key], array, restored.grid, dtype=dtype, description=f"medgen {bundle.root.name} {key or 'derived'}")
        write_json(files["json"], _sidecar(bundle, scan, restored, files, options, seconds))
    except ScanError as error:
        return Result(case, error=str(error))
    return Result(case, tuple(files.values()), seconds, warnings=(*scan.warnings, *restored.warnings))


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
