"""Scans to order: a bundle paints what a sentence or a specification asks for, as often as is wanted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from medgen.batch.apply import Restored, denormalise, infer
from medgen.batch.made_of import FOLDER, map_of
from medgen.batch.results import Options, outputs, write
from medgen.batch.run import one_line
from medgen.bundles import Bundle, BundleError
from medgen.scans import Case, Scan, write_nifti
from medgen.text.items import TextError
from medgen.text.spec import ScanSpec, reason


@dataclass(frozen=True)
class Made:
    """What became of one scan that was ordered: its files, or an error in one line, or neither where it was there already."""

    name: str
    files: tuple[Path, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    report: dict[str, Any] | None = None


def check(bundle: Bundle) -> None:
    """Raise `BundleError` for a bundle that takes no sentence."""
    if not bundle.metadata.get("text"):
        raise BundleError(f"{bundle.root.name} makes no scans from a text; give it scans, or choose a bundle that does (medgen bundles)")


def read_spec(path: Path) -> ScanSpec:
    """Read a specification from JSON: what `medgen parse --json` prints, or its "spec" alone.

    Raises `TextError` for a file that holds none, and says what is wrong.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no JSON"
        raise TextError(f"{path}: {why}; give what medgen parse --json prints") from None
    try:
        return ScanSpec.model_validate(content["spec"] if isinstance(content, dict) and "spec" in content else content)
    except ValidationError as error:
        raise TextError(f"{path}: is no valid ScanSpec ({reason(error)}); give what medgen parse --json prints") from None


def ordered(bundle: Bundle, wanted: str | ScanSpec, count: int, options: Options) -> Iterator[Made]:
    """Make `count` scans of a sentence or a specification with the seeds from ``options.seed`` on, and yield what became of each.

    A file that is there is kept unless ``options.overwrite``. What cannot be built is an error of that scan alone. The label map
    that a scan was painted from goes beside it (`medgen.batch.made_of`), on the scan's grid; the sidecar, written last, names it.
    Raises `TextError` for a sentence that is not understood: nothing is made then.
    """
    from medgen.text.parse import parse

    if isinstance(wanted, str):
        parse(wanted)
    order = wanted if isinstance(wanted, str) else wanted.model_dump(exclude_none=True)
    digest = hashlib.sha256((order if isinstance(order, str) else json.dumps(order, sort_keys=True)).encode()).hexdigest()
    for seed in range(options.seed, options.seed + count):
        case = Case(f"order-{digest[:6]}-{seed:03d}", (), "text")
        places = outputs(bundle, case, options)
        if not options.overwrite and all(path.exists() for path in places.values()):
            yield Made(case.name)
            continue
        started = time.perf_counter()
        try:
            scan, restored, classes = _painted(bundle, order, seed, options.memory)
        except (ValueError, RuntimeError, MemoryError) as error:
            yield Made(case.name, error=one_line(case, error).removeprefix(f"{case.name}: "))
            continue
        seconds, beside = time.perf_counter() - started, list[Path]()
        if classes is not None:
            place = map_of(places["json"])
            write_nifti(place, classes, scan, dtype=np.dtype(np.uint8), description=f"medgen SYNTHETIC labels {bundle.root.name}")
            beside.append(place)
            restored.report["label_map"] = {"file": f"{FOLDER}/{place.name}", "scheme": "medgen"}
        files = write(bundle, case, scan, restored, replace(options, seed=seed), seconds)
        yield Made(case.name, (*files.values(), *beside), seconds, report=restored.report)


def paint(
    bundle: Bundle, order: str | dict[str, Any], seed: int, memory: float | None = None, sequence: dict[str, Any] | None = None
) -> tuple[Scan, Restored]:
    """Return the scan that a sentence or a specification orders: its grid, and the image with the report of what was made.

    `sequence` holds "like" and "shape" of `medgen.synthesis.order.order`, where the scan is one of a sequence.
    """
    return _painted(bundle, order, seed, memory, sequence)[:2]


def _painted(
    bundle: Bundle, order: str | dict[str, Any], seed: int, memory: float | None = None, sequence: dict[str, Any] | None = None
) -> tuple[Scan, Restored, np.ndarray | None]:
    """Return the same, and the classes (X, Y, Z) that the image was painted from, where the bundle tells them."""
    data = dict(bundle.get("normalisation")({"image": order, "seed": seed, **(sequence or {})}))
    done = denormalise(bundle, data, infer(bundle, data, bundle.network, memory))
    sha256 = hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()
    scan = Scan(done["pred"], "arbitrary", bundle.modality, np.dtype(np.int16), Path("text"), sha256)
    classes = np.asarray(done["classes"][0]) if "classes" in done else None
    return scan, Restored({"": np.asarray(done["pred"][0], np.float32)}, scan, done.get("report", {})), classes
