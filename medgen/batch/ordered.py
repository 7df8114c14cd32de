"""Scans to order: a bundle paints what a sentence asks for, as often as is wanted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medgen.batch.apply import Restored, denormalise, infer
from medgen.batch.results import Options, outputs, write
from medgen.batch.run import one_line
from medgen.bundles import Bundle, BundleError
from medgen.scans import Case, Scan


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


def ordered(bundle: Bundle, text: str, count: int, options: Options) -> Iterator[Made]:
    """Make `count` scans of a sentence with the seeds from ``options.seed`` on, and yield what became of each.

    A file that is there is kept unless ``options.overwrite``. What cannot be built is an error of that scan alone.
    Raises `medgen.text.items.TextError` for a sentence that is not understood: nothing is made then.
    """
    from medgen.text.parse import parse

    parse(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    for seed in range(options.seed, options.seed + count):
        case = Case(f"order-{digest[:6]}-{seed:03d}", (), "text")
        if not options.overwrite and all(path.exists() for path in outputs(bundle, case, options).values()):
            yield Made(case.name)
            continue
        started = time.perf_counter()
        try:
            scan, restored = paint(bundle, text, seed, options.memory)
        except (ValueError, RuntimeError, MemoryError) as error:
            yield Made(case.name, error=one_line(case, error).removeprefix(f"{case.name}: "))
            continue
        seconds = time.perf_counter() - started
        files = write(bundle, case, scan, restored, replace(options, seed=seed), seconds)
        yield Made(case.name, tuple(files.values()), seconds, report=restored.report)


def paint(
    bundle: Bundle, order: str | dict[str, Any], seed: int, memory: float | None = None, sequence: dict[str, Any] | None = None
) -> tuple[Scan, Restored]:
    """Return the scan that a sentence or a specification orders: its grid, and the image with the report of what was made.

    `sequence` holds "like" and "shape" of `medgen.synthesis.order.order`, where the scan is one of a sequence.
    """
    data = dict(bundle.get("normalisation")({"image": order, "seed": seed, **(sequence or {})}))
    done = denormalise(bundle, data, infer(bundle, data, bundle.network, memory))
    sha256 = hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()
    scan = Scan(done["pred"], "arbitrary", bundle.modality, np.dtype(np.int16), Path("text"), sha256)
    return scan, Restored({"": np.asarray(done["pred"][0], np.float32)}, scan, done.get("report", {}))
