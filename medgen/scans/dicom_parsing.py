"""What surrounds the parsing of headers: no warnings, which quote patients, and no search for garbage."""

from __future__ import annotations

import gc
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Silence(threading.local):
    """Whether this thread is inside `silent`; also the pattern of a warnings filter, which then matches any text."""

    on = False

    def match(self, text: str) -> bool:
        return self.on


SILENCE = _Silence()
#: `warnings.catch_warnings` would not do: of two threads, the one that leaves first ends the other's silence.
IGNORED = ("ignore", SILENCE, Warning, None, 0)


def _ignore() -> None:
    """Put the filter before all others, where it stays: it ignores nothing but what is warned of inside `silent`."""
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    if not filters or filters[0] is not IGNORED:
        filters[:] = [IGNORED, *(one for one in filters if one is not IGNORED)]


_ignore()
logging.getLogger("pydicom").addFilter(lambda record: not SILENCE.on)


@contextmanager
def silent() -> Iterator[None]:
    """Silence pydicom in this thread, which quotes header values in its warnings and logs them."""
    before, SILENCE.on = SILENCE.on, True
    _ignore()
    try:
        yield
    finally:
        SILENCE.on = before


@contextmanager
def parsing() -> Iterator[None]:
    """Be silent, and let Python's garbage collector rest.

    A header is a hundred small objects that all stay. So many of them make Python walk through all that torch and MONAI
    hold, in search of garbage that is not there: 0.2 to 0.4 s, as long as all the reading of 300 slices.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with silent():
            yield
    finally:
        if collects:
            gc.enable()
