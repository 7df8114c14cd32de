"""What went wrong, as a report tells it: each case and its reason, and no folder of anybody's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME
from medgen.scans import ScanError


def failed_in(folder: Path) -> dict[str, str]:
    """Return a line for each case that failed in the runs on an output folder, by the name of its result, and for what could be none.

    Nothing where the folder has no ledger. Raises `BundleError` for one that cannot be read.
    """
    if not (folder / NAME).is_file():
        return {}
    with Ledger(folder, only_read=True) as ledger:
        rows, unread = ledger.rows(), ledger.unread()
    lines = {row.name: _line(row.name, row.bundle, row.reason or "failed") for row in rows if row.state == "failed"}
    return {**lines, **{reason: without_folders(reason) for reason in unread}}


def failed_of(cases: Mapping[str, str], folder: Path, unread: Sequence[ScanError], *, deidentify: bool) -> list[str]:
    """Return a line for each case of a run that has no result: why, where the ledger knows.

    Args:
        cases: names by those of the results; not told of a run that de-identifies, as are the names of files.
        unread: what could be no case.
    """
    known = failed_in(folder)
    lines = [known[name] for name in cases if name in known]
    silent = [name for name in cases if name not in known]
    if deidentify:
        lines += [f"{len(silent)} case(s) have no result"] if silent else []
        return lines + [f"a file: {error.reason}; {error.remedy}" for error in unread]
    return [*lines, *(f"{cases[name]}: has no result" for name in silent), *(without_folders(str(error)) for error in unread)]


def without_folders(line: str) -> str:
    """Return a failure without the folders of the files that it names: what stands before ": ", and paths of one word."""
    names = [re.split(r"[/\\]", part)[-1] for part in line.split(": ")[:-1]]
    return ": ".join([*names, re.sub(r"(?<!\S)(?:[A-Za-z]:)?[/\\]\S*[/\\](?=\S)", "", line.split(": ")[-1])])


def _line(name: str, bundle: str, reason: str) -> str:
    """Return a reason with the case before it, which may be the file that it names already."""
    line = without_folders(reason)
    return line if line.startswith(name.removesuffix(f"_{bundle}")) else f"{name}: {line}"
