"""The files that make an output folder a BIDS derivative: dataset_description.json, README.md, .bidsignore."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from medgen import __version__
from medgen.batch.ledger_file import NAME as LEDGER
from medgen.batch.sidecar import write_json
from medgen.bundles import Bundle, BundleError
from medgen.scans import Case, Scan, ScanError
from medgen.scans.bids import DESCRIPTION, Dataset, dataset
from medgen.scans.whole import whole_file

VERSION = "1.10.0"  #: of the specification that names and files follow
SOURCE = "source"  #: what BIDS URIs call the dataset that went in
IGNORED = f"{LEDGER}*\nreport.*\n"

README = """# Derived by medgen

Images that medgen (https://monai.io bundles for generative medical imaging) made of the structural images of a BIDS dataset.
Each lies on the grid of its source, unless its bundle is there to change the grid, and has a JSON sidecar: what it was made
of (Sources), by which bundle, with which parameters, and hashes of weights and input. `desc-...Uncertainty` is a map of the
standard deviation, in the units of its image. Research only; nothing here is an acquired image.

dataset_description.json lists the bundles; `medgen status` on this folder tells how the run stands.
"""


def bids_of(paths: Sequence[Path], format: str, deidentify: bool) -> Dataset | None:
    """Return the dataset that a derivative is to be made of, or None where other files are wanted, by `Options.format`.

    Raises `BundleError` where BIDS is asked for and cannot be, `ScanError` for a description that cannot be read.
    """
    one = dataset(paths[0]) if len(paths) == 1 and format in ("auto", "same", "bids") else None
    if format == "bids" and one is None:
        raise BundleError(f"--format bids wants one path, the root of a BIDS dataset, which holds a {DESCRIPTION}")
    if one and deidentify:
        raise BundleError("--deidentify removes the names of subjects, which BIDS demands; add --format nifti")
    return one


def describe_derivative(folder: Path, source: Dataset, bundle: Bundle) -> None:
    """Make a folder a derivative of a dataset by this bundle, beside those by others that are there.

    Raises `BundleError` for the dataset itself, a folder in it but not in its derivatives/, another dataset, or one that
    cannot be written.
    """
    root, here = source.root.resolve(), folder.resolve()
    if root == here or (root in here.parents and here.relative_to(root).parts[0] != "derivatives"):
        raise BundleError(f"{folder}: lies in the dataset itself; choose {source.root / 'derivatives' / 'medgen'}, or a folder elsewhere")
    known = _known(folder / DESCRIPTION)
    link = _link(root, here)
    if known and known.get("DatasetLinks", {}).get(SOURCE) != link:
        raise BundleError(f"{folder}: is a derivative of another dataset; choose another output folder")
    others = [maker for maker in known.get("GeneratedBy", []) if maker.get("Bundle") != bundle.root.name]
    doi = source.about.get("DatasetDOI")
    about = {
        "Name": f"{source.about.get('Name', 'A dataset')}, derived by medgen",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [*others, _maker(bundle)],
        "SourceDatasets": [{"URL": link, **({"DOI": doi} if doi else {})}],
        "DatasetLinks": {SOURCE: link},
    }
    try:
        if about != known:
            write_json(folder / DESCRIPTION, about)
        for name, text in (("README.md", README), (".bidsignore", IGNORED)):
            if not (folder / name).exists():
                with whole_file(folder / name) as temporary:
                    temporary.write_text(text, encoding="utf-8")
    except ScanError as error:
        raise BundleError(str(error)) from None


def bids_keys(source: Dataset, case: Case, grid: Scan, description: str) -> dict[str, Any]:
    """Return what BIDS wants in the sidecar of an image that was derived from a case and lies on a grid."""
    skull = source.is_skull_stripped(case)
    return {
        "Description": description,
        "Sources": [f"bids:{SOURCE}:{quote(source.path(case))}"],
        "Resolution": " x ".join(f"{size:.4g}" for size in grid.spacing) + " mm",
        **({} if skull is None else {"SkullStripped": skull}),
    }


def _maker(bundle: Bundle) -> dict[str, Any]:
    version, weights = (bundle.metadata.get(key) for key in ("version", "weights_sha256"))
    return {
        "Name": "medgen",
        "Version": __version__,
        "Description": f"{bundle.root.name} {version}: {bundle.metadata.get('task', '')}",
        "Bundle": bundle.root.name,
        "BundleVersion": version,
        "WeightsSHA256": weights,
    }


def _known(path: Path) -> dict[str, Any]:
    """Return the description that is there, if medgen wrote it. Raises `BundleError` for any other."""
    if not path.exists():
        return {}
    try:
        about = dict(json.loads(path.read_text(encoding="utf-8")))
        if any(maker["Name"] == "medgen" for maker in about["GeneratedBy"]):
            return about
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise BundleError(f"{path}: is of another dataset; choose another output folder")


def _link(root: Path, folder: Path) -> str:
    """Return the way from a folder to the dataset's root, which tells no more of this machine than it must."""
    try:
        return quote(Path(os.path.relpath(root, folder)).as_posix())
    except ValueError:  # another drive of Windows
        return root.as_uri()
