"""What a user may choose for a run, and what a run writes: the results' names, files and sidecars."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import MetaTensor

from medgen.batch.apply import Restored
from medgen.batch.derivative import bids_keys
from medgen.batch.object_store import StoredCase
from medgen.batch.sidecar import describe, versions, write_json
from medgen.bundles import Bundle
from medgen.scans import Case, Scan, write_nifti
from medgen.scans.bids import UNCERTAINTY, Dataset, derived
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
    fills: int = 0  #: of a repair, so many of the ways to fill it are written too, in one 4D file
    seed: int = 0
    format: str = "nifti"  #: "nifti", "dicom", or "same": DICOM where the input was; with `bids` no "dicom"
    deidentify: bool = False  #: no header and no file name of the input is told
    permissive: bool = False  #: scans with doubts that have a way out are taken, with a warning
    mask: Path | None = None  #: a mask (nonzero is to be worked on), or a folder of them, named like the scans
    memory: float | None = None  #: GiB for a volume, its result and the network; by default what is free, within reason
    retry: bool = False  #: scans that failed are tried again
    workers: int = 1  #: processes, for machines with more cores or GPUs than one network keeps busy (`batch.workers`)
    bids: Dataset | None = None  #: the dataset that all scans are of: the output is a BIDS derivative, of NIfTI
    scheduler: str | None = None  #: of dask: its address or file; the work is done by its workers (`batch.many_machines`)
    url: str | None = None  #: of an object store, where results go instead of `output`, which keeps the ledger
    secret: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)  #: what de-identified names of a run come from

    def is_dicom(self, case: Case) -> bool:
        """Return whether the restored scan is written as a DICOM series."""
        return self.format == "dicom" or (self.format == "same" and case.kind == "dicom")


@dataclass(frozen=True)
class Result:
    """What became of one case: files written, or an error in one line, or neither where it was done before or elsewhere."""

    case: Case
    files: tuple[Path | str, ...] = ()  #: paths, or URLs
    seconds: float = 0.0
    error: str | None = None
    warnings: tuple[str, ...] = ()


def outputs(bundle: Bundle, case: Case, options: Options) -> dict[str, Path]:
    """Return the files that a case is written to; "" is the restored scan itself (of DICOM, a folder), "json" its sidecar."""
    if options.bids:
        return _derivative(bundle, case, options)
    name = stem(bundle, case, options)
    files = {"": options.output / (name if options.is_dicom(case) else f"{name}.nii.gz"), "json": options.output / f"{name}.json"}
    if options.uncertainty:
        files["uncertainty"] = options.output / f"{name}_uncertainty.nii.gz"
    if options.fills:
        files["fills"] = options.output / f"{name}_fills.nii.gz"
    return files


def stem(bundle: Bundle, case: Case, options: Options) -> str:
    """Return the name of a case's result, by which the ledger knows it."""
    if options.bids:
        return derived(case, bundle.root.name, contrast=_made(bundle)).name
    unsaid = bundle.metadata.get("synthetic") and "synthe" not in bundle.root.name
    return f"{_pseudonym(case) if options.deidentify else case.name}_{'synthetic_' if unsaid else ''}{bundle.root.name}"


def _derivative(bundle: Bundle, case: Case, options: Options) -> dict[str, Path]:
    """Return the files of a case in a BIDS derivative, in which a map has a sidecar too."""
    labels = {"": "", **({"uncertainty": UNCERTAINTY} if options.uncertainty else {})}
    files: dict[str, Path] = {}
    for key, label in labels.items():
        path = options.output / derived(case, bundle.root.name, label, contrast=_made(bundle))
        files |= {key: path.with_name(f"{path.name}.nii.gz"), f"{key}json": path.with_name(f"{path.name}.json")}
    return files


def _made(bundle: Bundle) -> str | None:
    """Return the contrast of what a bundle makes, where it makes another than it is given."""
    return str(bundle.settings["contrast"]) if bundle.metadata.get("synthetic") and "contrast" in bundle.settings else None


@cache
def _pseudonym(case: Case) -> str:
    """Return a name that stays the same from run to run, and cannot be guessed from a patient's: it takes the content too."""
    if isinstance(case, StoredCase):
        return _drawn_from(case.name, case.state.encode())
    try:
        content = case.files[0].read_bytes()
    except OSError:
        content = b""  # which reading it will tell
    return _drawn_from(case.name, content)


def _drawn_from(name: str, content: bytes) -> str:
    return f"case-{hashlib.sha256(name.encode() + content).hexdigest()[:10]}"


def write(bundle: Bundle, case: Case, scan: Scan, restored: Restored, options: Options, seconds: float) -> dict[str, Path]:
    """Write what a bundle made of a scan, each file whole or not at all, the sidecar last; return the files by name.

    Raises `ScanError` where one cannot be written.
    """
    files, images = outputs(bundle, case, options), dict(restored.images)
    if options.is_dicom(case):
        _write_series(bundle, files[""], images.pop(""), restored.grid)
    for key, array in images.items():
        dtype = np.dtype(np.float32) if key == "uncertainty" else None
        what = key or ("SYNTHETIC" if bundle.metadata.get("synthetic") else "derived")
        like = restored.grid if array.ndim == 3 else replace(restored.grid, image=MetaTensor(restored.grid.image.expand(len(array), -1, -1, -1)))
        write_nifti(files[key], array, like, dtype=dtype, description=f"medgen {what} {bundle.root.name}")
    about = _sidecar(bundle, scan, restored, files, options, seconds)
    if options.bids:
        if "uncertaintyjson" in files:
            what = f"standard deviation of {files[''].name}, in its units"
            write_json(files["uncertaintyjson"], {**bids_keys(options.bids, case, restored.grid, what), "derived": True})
        task = str(bundle.metadata.get("task") or bundle.root.name)
        about = {**bids_keys(options.bids, case, restored.grid, f"{task}, by medgen"), **about}
    write_json(files["json"], about)
    return files


def _write_series(bundle: Bundle, folder: Path, array: np.ndarray, scan: Scan) -> None:
    metadata = bundle.metadata
    made = metadata.get("network_data_format", {}).get("outputs", {}).get("pred", {}).get("modality", "")
    maker = Maker(bundle.root.name, str(metadata.get("version", "")), str(metadata.get("weights_sha256", "")))
    synthetic = bool(metadata.get("synthetic"))
    modality = made if synthetic or not scan.modality else scan.modality
    what = re.split("[:,]", str(metadata.get("task") or bundle.root.name))[0]
    derivation = DERIVATIONS.get(str(metadata.get("derivation")), SMOOTHING)
    write_dicom(
        folder, array, scan, description=what, maker=maker, derivation=derivation, synthetic=synthetic, modality=modality
    )  # fmt: skip


def _of_the_result(scan: Scan, restored: Restored) -> dict[str, Any]:
    """Return the grid of a result that has another than its input."""
    grid = restored.grid
    if grid.image.shape == scan.image.shape and grid.spacing == scan.spacing:
        return {}
    return {"output_shape": list(grid.image.shape[1:]), "output_spacing_mm": [round(value, 6) for value in grid.spacing]}


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
        **({"mask_sha256": restored.mask_sha256} if restored.mask_sha256 and not options.deidentify else {}),
        **describe(scan),
        **_of_the_result(scan, restored),
        "warnings": [*scan.warnings, *restored.warnings],
        "outputs": {key or "image": path.name for key, path in files.items() if not key.endswith("json")},
        "parameters": {"uncertainty": options.uncertainty, "samples": options.samples, "seed": options.seed, "fills": options.fills, **bundle.settings},
        "report": restored.report,
        "device": str(bundle.device),
        "seconds": round(seconds, 2),
        "libraries": versions(),
    }
