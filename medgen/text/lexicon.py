"""The words that are understood, of both languages, as one table; and a text made ready to be looked up in it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from medgen.text import chinese, english, ordinary

_PLAIN = {ord(a): b for a, b in zip(chinese.TRADITIONAL, chinese.SIMPLIFIED)}
_PLAIN |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if code != 0xFF0C}  # full-width, but for the comma
_PLAIN |= {0x3000: " ", 0x2010: "-", 0x2011: "-", 0x2212: "-", 0x2019: "'", 0x2018: "'", 0xFF64: "、"}


class Meaning(NamedTuple):
    """What a phrase means: a tag (first word of its line in the table) and what follows it there."""

    tag: str
    value: str


def plain(text: str) -> str:
    """Return a text of the same length in lower case, half-width, simplified characters."""
    return "".join(c if len(low := c.lower()) != 1 else low for c in text.translate(_PLAIN))


@lru_cache
def table() -> dict[str, Meaning]:
    """Return the meaning of every phrase (lower case, single spaces)."""
    found: dict[str, Meaning] = {}
    for line in filter(None, (english.TABLE + chinese.TABLE).splitlines()):
        head, _, phrases = line.partition(": ")
        tag, _, value = head.strip().rpartition(" ") if head.count(" ") == 0 else head.partition(" ")
        for phrase in phrases.split(", "):
            found.setdefault(phrase.strip(), Meaning(tag or head, value if tag else ""))
    return found


@lru_cache
def _matcher() -> re.Pattern[str]:
    phrases = sorted(table(), key=len, reverse=True)
    parts = []
    for phrase in phrases:
        part = r"[\s-]+".join(re.escape(word) for word in phrase.split(" "))
        before = r"(?<![a-z])" if re.match(r"[a-z]", phrase) else r"(?<![a-z0-9])" if phrase[0].isdigit() else ""
        after = r"(?![a-z0-9])" if re.search(r"[a-z0-9]$", phrase) else ""
        parts.append(before + part + after)
    return re.compile("|".join(parts))


def look_up(text: str, start: int) -> tuple[Meaning, int] | None:
    """Return meaning and end of the longest phrase that begins at `start` of a plain text, or None."""
    if not (found := _matcher().match(text, start)):
        return None
    return table()[re.sub(r"[\s-]+", " ", found.group()) if found.group() not in table() else found.group()], found.end()


@lru_cache
def near(word: str) -> tuple[str, ...]:
    """Return the words of the table that one slip of the pen makes out of an unknown Latin word.

    A word of less than five letters is compared with the sides only; ordinary English words (`ordinary.py`) are no slips.
    """
    if word in ordinary.WORDS:
        return ()
    known = {w for phrase in table() for w in phrase.split(" ") if len(w) >= 4 and w.isascii() and w.isalpha()}
    return tuple(sorted(w for w in known if (len(word) >= 5 or w in ("left", "right")) and _one_slip(word, w)))


def _one_slip(a: str, b: str) -> bool:
    """Tell whether one letter is added, lost or changed, or two neighbours changed places."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    first = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    x, y = a[first:], b[first:]
    return x[1:] == y[1:] or x[1:] == y or x == y[1:] or (x[:2] == y[:2][::-1] and x[2:] == y[2:])
