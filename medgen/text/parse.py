"""A sentence, English or Chinese, to a `ScanSpec`: by rules alone, so that the same words always mean the same scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from medgen.text.binding import Group
from medgen.text.clauses import split
from medgen.text.findings import findings
from medgen.text.groups import group
from medgen.text.items import Item, Reading, TextError, read
from medgen.text.lesions import lesions
from medgen.text.settle import settle
from medgen.text.spec import ScanSpec, reason
from medgen.text.subject import sequence, subject

_WEIGHTY = ("side", "from", "place", "size", "box", "scale", "number", "relative", "vague", "far", "radius", "times", "percent")


@dataclass(frozen=True)
class Parsed:
    """What a sentence asks for, and how it was understood.

    Attributes:
        spec: the scan.
        understood: pairs of words of the sentence and what they were taken to mean, in the order of the text.
        ignored: the words that changed nothing.
        warnings: what was read in a way that ought to be looked at.
    """

    spec: ScanSpec
    understood: list[tuple[str, str]]
    ignored: list[str]
    warnings: list[str]


def parse(text: str) -> Parsed:
    """Return what a sentence asks for. `TextError` where it contradicts itself or is not understood in a side or a size."""
    if len(text) > 2000:
        raise TextError(f"a text of {len(text)} characters is too long; 2000 are read")
    reading = read(text)
    settle(reading)
    for item in reading.items:
        if item.tag == "vague":
            raise TextError(f"'{item.text}' is no size that is understood; write a diameter as a number with mm or cm")
    everything = reading.items
    segments = split(reading.items)
    for item in everything:
        if item.tag == "refused":
            if not item.denied:
                raise TextError(f"'{item.text}': {item.value} is not supported; T1, T2, FLAIR and T1 after contrast are, with "
                                "lesions, ventricles, atrophy, midline shift and artefacts")  # fmt: skip
            item.meaning = f"denied: {item.value}"
    groups, alone = group(segments, reading)
    there = lesions(groups, reading)
    values: dict[str, Any] = {"lesions": there}
    values |= findings(groups, reading, there or []) | subject(alone) | sequence(alone)
    try:
        spec = ScanSpec.model_validate(values)
    except ValidationError as error:
        raise TextError(reason(error)) from None
    return _told(spec, reading, everything, groups)


def _told(spec: ScanSpec, reading: Reading, everything: list[Item], groups: list[Group]) -> Parsed:
    heads = [g.head for g in groups]
    said = [i for g in groups for i in g.said if i.text]
    items = list({id(i): i for i in (*everything, *heads, *said)}.values())
    for item in items:
        unused = not item.meaning and item.tag in _WEIGHTY and not any(
            o.meaning and o.start <= item.start and item.end <= o.end for o in items
        )  # fmt: skip
        if unused and not any(g.head.denied and item in g.said for g in groups):
            raise TextError(f"'{item.text}' of what? It may bear on a side or a size, and is not understood here")
    understood = sorted(((i.start, i.end, i.text, i.meaning) for i in items if i.meaning and i.text), key=lambda t: t[:2])
    silent = ("and", "or", "with", "but", "comma", "paren", "stop", "not", "except", "each", "respectively", "isa", "all", "count", "join")
    loose = [i for i in items if not i.meaning and i.tag not in silent and not any(s <= i.start and i.end <= e for s, e, *_ in understood)]
    ignored = sorted({(i.start, i.text) for i in (*reading.ignored, *loose)})
    return Parsed(spec, [(t, m) for _, _, t, m in understood], [t for _, t in ignored], reading.warnings)
