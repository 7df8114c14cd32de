"""Logs for machines: one JSON object a line, of what happens to each case and of all that medgen logs.

Cases are called by the names of their results; no header, and with --deidentify no name of a file, gets here.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from medgen.bundles import BundleError

LOG = logging.getLogger("medgen.batch")


def event(name: str, **fields: Any) -> None:
    """Log that something happened, such as "done"; seen only where `write_json_lines` was called, or INFO is logged."""
    LOG.info(name, extra={"fields": fields})


def log_target() -> str | None:
    """Return where `write_json_lines` writes to, for another process to do the same; None where it was not called."""
    for handler in logging.getLogger("medgen").handlers:
        if isinstance(handler.formatter, JsonLines):
            return handler.baseFilename if isinstance(handler, logging.FileHandler) else "-"
    return None


def write_json_lines(target: str) -> None:
    """Write what medgen logs from now on as JSON lines to a file, at its end, or to standard error ("-")."""
    handler: logging.Handler
    try:
        handler = logging.StreamHandler(sys.stderr) if target == "-" else logging.FileHandler(Path(target), encoding="utf-8")
    except OSError as error:
        raise BundleError(f"{target}: cannot be written to ({error.strerror}); choose another file for --log-json") from None
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("medgen")
    for old in logger.handlers[:]:
        if isinstance(old.formatter, JsonLines):
            logger.removeHandler(old)
            old.close()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


class JsonLines(logging.Formatter):
    """time (UTC), elapsed (seconds since the program's start, which no clock shifts), event, and what belongs to it."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": when, "elapsed": round(time.monotonic() - self._started, 3), "process": record.process}
        fields = getattr(record, "fields", None)
        if fields is None:  # of a text that something logged
            about = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
            return json.dumps({**line, "event": "log", **about})
        return json.dumps({**line, "event": record.getMessage(), **fields})
