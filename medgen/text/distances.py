"""Distances from something, which are no sizes; and the direction of a midline shift that is told by what it goes away from."""

from __future__ import annotations

import re

from medgen.text.items import BREAKS, Reading, TextError
from medgen.text.lexicon import plain

_TOWARDS = re.compile(r"(?:\b(?:towards?|into)|(?<!due )(?<!secondary )(?<!owing )\bto)\s+(?:the\s+)?(?:side of (?:the )?)?$|[向往朝]$")


def distances(reading: Reading) -> None:
    """Take out distances from something, such as '5 mm from the midline': they are no size."""
    items = reading.items
    _not_towards(reading)
    for far in [i for i in items if i.tag == "far"]:
        n = items.index(far)
        if _of_shift(reading, n):
            continue
        if far.value == "before":  # Chinese: the distance comes last
            last = next((m for m in range(n + 1, min(n + 4, len(items))) if items[m].tag == "size"), None)
            if last is None:
                raise TextError(f"'{far.text}': the distance is not understood; leave it out")
            first = n
        elif n and items[n - 1].tag in ("size", "box"):
            first, last = n - 1, min(n + 1, len(items) - 1)
            if items[last].tag in BREAKS:
                last = n
        else:
            if n and [i.tag for i in items[n - 1 : n + 2 : 2]] == ["word", "side"]:
                raise TextError(f"'{reading.text[items[n - 1].start : items[n + 1].end]}': what this is the side of is not understood")
            items.remove(far)
            continue
        if any(i.tag == "side" for i in items[first : last + 1]):
            raise TextError(f"'{reading.text[items[first].start : items[last].end]}': a distance is not understood; leave it out")
        reading.ignore(items[first], items[last], "is a distance, which is not understood")
        del items[first : last + 1]


def _of_shift(reading: Reading, n: int) -> bool:
    """Turn 'away from it' behind a midline shift into its direction; refuse one away from a side, which names no other."""
    items, far = reading.items, reading.items[n]
    first = max((m for m in range(n) if items[m].tag in BREAKS), default=-1)
    if far.value == "before" or not any(i.tag in ("shift", "midline") for i in items[first + 1 : n]):
        return False
    target = items[n + 1] if n + 1 < len(items) else far
    if target.tag == "side":
        raise TextError(f"'{reading.text[far.start : target.end]}': say to which side the midline is shifted")
    if far.text.lower() not in ("away from", "off the", "from") or target.tag not in ("again", "lesion"):
        return False
    items[n : n + 2] = [reading.cover(far, target, "relative", "away")]
    return True


def _not_towards(reading: Reading) -> None:
    """Refuse a midline shift towards a lesion: it is told by a side."""
    items = reading.items
    for n, item in enumerate(items):
        if item.tag not in ("lesion", "again") or not _TOWARDS.search(plain(reading.text[: item.start])):
            continue
        first = max((m for m in range(n) if items[m].tag in BREAKS), default=-1)
        last = next((m for m in range(n, len(items)) if items[m].tag in BREAKS), len(items))
        if any(i.tag in ("shift", "midline", "from") for i in items[first + 1 : last]):
            raise TextError(f"towards '{item.text}': say to which side the midline is shifted")
