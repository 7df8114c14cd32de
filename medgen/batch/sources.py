"""Where the cases of a run come from, as hashes of paths: what is done keeps its name, and what failed and is gone is forgotten."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME
from medgen.batch.results import Options, stem
from medgen.bundles import Bundle
from medgen.scans import Case, ScanError


def keep_names(bundle: Bundle, cases: list[Case], options: Options) -> list[Case]:
    """Return the cases, sorted, under the names by which the ledger knows their results, though other files now make `find` name them else.

    A new case whose name another keeps gets a number. Names are as they were found in a BIDS derivative, which has its own; with
    a mask, which is found by them; and with `deidentify`, since then no source is known. Raises as `Ledger` does.
    """
    if options.bids or options.mask or options.deidentify or not (options.output / NAME).is_file():
        return cases
    ending = f"_{bundle.root.name}"
    with Ledger(options.output, only_read=True) as ledger:
        entered = {row.name for row in ledger.rows() if row.name.endswith(ending)}
        known: dict[str, set[str]] = defaultdict(set)
        for name, source in ledger.sources().items():
            if name in entered:
                known[source].add(name)
    kept, new = [], []
    for case in cases:
        names = known.get(_source(bundle, case))
        if not names:
            new.append(case)
        elif stem(bundle, case, options) in names:
            kept.append(case)
        else:
            kept.append(replace(case, name=min(names).removesuffix(ending)))
    taken = {case.name.lower() for case in kept}
    for case in new:
        numbered = (case.name if number == 1 else f"{case.name}-{number}" for number in count(1))
        kept.append(replace(case, name=next(name for name in numbered if name.lower() not in taken)))
        taken.add(kept[-1].name.lower())
    return sorted(kept, key=lambda case: case.name)


def enter_sources(bundle: Bundle, cases: Sequence[Case], unread: Sequence[ScanError], given: Sequence[Path], options: Options) -> None:
    """Enter into the ledger where a run's cases come from, and what under the paths `given` is no case and why.

    What an earlier run had under one of these paths, did not finish, and is there no more, is forgotten, unless others are at work;
    so is what could not be read then. With `deidentify` no path is known, nor told. Raises as `Ledger` does.
    """
    roots = {} if options.deidentify else {Path(os.path.abspath(path)): _hash(bundle.root.name, os.path.abspath(path)) for path in given}
    found: dict[str, tuple[str, str]] = {}
    for case in () if options.deidentify else cases:
        place = Path(os.path.abspath(case.files[0]))
        root = next((roots[path] for path in (place, *place.parents) if path in roots), "")
        found[stem(bundle, case, options)] = root, _source(bundle, case)
    reasons = [f"a file: {error.reason}; {error.remedy}" if options.deidentify else str(error) for error in unread]
    with Ledger(options.output) as ledger:
        ledger.enter_sources(found, sorted(set(roots.values())), reasons)


def _source(bundle: Bundle, case: Case) -> str:
    """Return a hash of where a case lies: its first file, and of several volumes in that which one it is."""
    frames = list(case.parts.get(case.files[0], ())) if case.parts else []
    return _hash(bundle.root.name, os.path.abspath(case.files[0]), json.dumps(frames))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]
