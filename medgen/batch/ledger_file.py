"""The file of a ledger: its tables, a row of them, and how it is opened.

The journal is a WAL, which is fast and safe among processes of one machine. Where the folder lies on a network file system,
whose machines share no memory, it is a rollback journal: as safe as the locks (fcntl) of that file system.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgen.bundles import BundleError

NAME = "ledger.sqlite"
VERSION = 1
BUSY = 60.0  #: seconds to wait for another process's write

TABLES = """
CREATE TABLE IF NOT EXISTS cases (
    name TEXT PRIMARY KEY,           -- of the result: NAME_BUNDLE
    bundle TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'running', 'done', 'failed')),
    turn INTEGER NOT NULL DEFAULT 0, -- grows with every change, so that of two that see the same row one wins
    worker TEXT,                     -- who has it, or had it last
    input TEXT, input_state TEXT,    -- hash of content, and of sizes and times
    bundle_sha256 TEXT, parameters TEXT,
    tried TEXT,                      -- what else a failure may be due to
    outputs TEXT,                    -- by name: [[files], hash of content, hash of sizes and times]
    reason TEXT, seconds REAL,
    kills INTEGER,                   -- processes that the system had killed for want of memory when the case was begun
    deaths INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, machine TEXT NOT NULL, process TEXT NOT NULL, beat INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sources (  -- of cases, by hashes of paths: what was given that a case lay under, and the case's own
    name TEXT PRIMARY KEY, given TEXT NOT NULL, path TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unread (given TEXT NOT NULL, reason TEXT NOT NULL); -- what was no case, of runs over such paths (JSON)
CREATE TABLE IF NOT EXISTS sent (name TEXT NOT NULL, pacs TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (name, pacs));
"""


@dataclass(frozen=True)
class Row:
    """What the ledger knows of a case; see `TABLES`."""

    name: str
    bundle: str
    state: str
    turn: int
    worker: str | None
    input: str | None
    input_state: str | None
    bundle_sha256: str | None
    parameters: dict[str, Any]
    tried: dict[str, Any]
    outputs: dict[str, list[Any]]
    reason: str | None
    seconds: float | None
    kills: int | None
    deaths: int


def connect(path: Path, *, only_read: bool = False) -> sqlite3.Connection:
    """Open a ledger's file. Raises `BundleError` where it cannot be, or is none, or of a later medgen."""
    mode = "ro" if only_read else "rwc"
    if only_read and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        mode += "&immutable=1"  # where nobody writes, and SQLite's own files beside it cannot be made
    try:
        sql = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=BUSY,
                              isolation_level=None, check_same_thread=False)  # fmt: skip
        (version,) = sql.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        raise BundleError(f"{path}: cannot be opened ({error}); check the folder, or choose another one") from None
    except sqlite3.DatabaseError:
        raise BundleError(f"{path}: is no ledger; move it away, and all is done again") from None
    if version > VERSION:
        raise BundleError(f"{path}: is of a later version of medgen; use that one, or choose another output folder")
    return sql


def set_journal(sql: sqlite3.Connection, mode: str) -> None:
    """Set the journal; SQLite does not wait here for another process that does the same."""
    until = time.monotonic() + BUSY
    while True:
        try:
            sql.execute(f"PRAGMA journal_mode={mode}")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.05)


def row_of(values: tuple[Any, ...]) -> Row:
    """Return what a line of the table of cases tells."""
    row = Row(*values)
    texts = {key: json.loads(getattr(row, key) or "{}") for key in ("parameters", "tried", "outputs")}
    return Row(**{**row.__dict__, **texts})
