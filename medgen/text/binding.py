"""Which attributes belong to which finding within a segment. In doubt a sentence is refused, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from medgen.text.clauses import Segment
from medgen.text.heads import pointed_at
from medgen.text.items import Item, Reading, TextError
from medgen.text.lexicon import plain

_LESION = ("side", "place", "size", "box", "scale", "count", "number", "each", "respectively", "relative")
#: what can be said of each head
SUITS: dict[str, tuple[str, ...]] = {
    "lesion": _LESION,
    "ventricles": ("side", "grade", "enlarged", "slit", "normal", "times", "percent", "scale", "relative"),
    "atrophy": ("side", "place", "grade", "relative"),
    "shift": ("side", "from", "size", "grade", "relative", "scale"),
    "motion": ("grade", "percent", "scale"),
    "noise": ("grade", "percent", "scale"),
    "bias": ("grade", "percent", "scale"),
    "oedema": ("grade", "side", "place", "size", "scale"),
    "slice": ("size",),
    "voxel": ("size", "box"),
    "other": ("size", "box", "number"),
}
ATTRIBUTES = frozenset(tag for tags in SUITS.values() for tag in tags)


@dataclass
class Group:
    """A finding (`head`) with what is said of it, in the order of the text; 'and' and 'or' stay in between."""

    head: Item
    sentence: int
    said: list[Item] = field(default_factory=list)
    exception: bool = False

    def all(self, *tags: str) -> list[Item]:
        return [item for item in self.said if item.tag in tags]


def bind(items: list[Item], segment: Segment, reading: Reading) -> list[Group]:
    """Return the groups of one segment: each attribute goes to the one head that it can go to."""
    items = pointed_at(items)
    heads = [n for n, item in enumerate(items) if item.tag in SUITS]
    if not heads:
        return []
    tags = [items[n].tag for n in heads]
    if "slice" in tags and "lesion" in tags and any(items[n].text.lower() == "thick" for n in heads):
        raise TextError(f"'{shown(items, reading)}': are the slices thick, or the lesion? Write slice thickness, or a diameter")
    groups = [Group(items[n], segment.sentence, exception=segment.opened_by == "except") for n in heads]
    for g, head in enumerate(heads):
        end = heads[g + 1] if g + 1 < len(heads) else len(items)
        between = items[head + 1 : end]
        cut = max((n for n, i in enumerate(between) if i.tag in ("and", "or")), default=None) if g + 1 < len(heads) else None
        if g == 0:
            for item in items[:head]:
                _give(item, [groups[0]], reading, groups)
        if cut is not None:
            for item in between[:cut]:
                _give(item, [groups[g]], reading, groups)
            groups[g + 1].said.append(between[cut])
            for item in between[cut + 1 :]:
                _give(item, [groups[g + 1]], reading, groups)
        else:
            for item in between:
                _give(item, groups[g : g + 2], reading, groups)
    return groups


def _give(item: Item, near: list[Group], reading: Reading, groups: list[Group]) -> None:
    if item.tag in ("and", "or", "all"):
        near[0].said.append(item)
        return
    if item.tag == "count" and item.text.lower() in ("a", "an"):
        near = near[-1:]
        if item.tag not in SUITS[near[0].head.tag]:
            return
    fitting = [g for g in near if item.tag in SUITS[g.head.tag]] or [g for g in groups if item.tag in SUITS[g.head.tag]]
    if item.tag == "grade" and not fitting:
        reading.ignored.append(item)
        return
    if len(fitting) > 1:
        fitting = [g for g in fitting if g.head.tag != "oedema" or item.tag in ("grade", "size")] if item.tag != "size" else fitting
    if len(fitting) != 1:
        names = " or ".join(f"'{g.head.text}'" for g in fitting) or "nothing that is named"
        raise TextError(f"'{item.text}' may belong to {names}; set a comma or 'and' between them, and say it of each")
    fitting[0].said.append(item)


def shown(items: list[Item], reading: Reading) -> str:
    told = [i for i in items if i.text]
    return reading.text[told[0].start : told[-1].end].strip()


def check_sides(segment: Segment, reading: Reading) -> None:
    """Refuse a side or a size of something unknown, such as 'left zzz' and '2 mm rim'."""
    items = segment.items
    _of_something_else(items, reading)
    for n, item in enumerate(items):
        rest = [i.tag for i in items[n + 1 :]]
        if item.tag not in ("side", "relative", "size", "box") or rest[:1] != ["word"] or item.denied:
            continue
        beyond = next((tag for tag in rest if tag != "word"), "")
        known = beyond in ("lesion", "wmh", "place", "ventricles", "atrophy", "shift") and rest[1:3] != ["word", "word"]
        if item.tag in ("size", "box"):
            known = any(tag in SUITS or tag == "wmh" for tag in rest)
        if not known:
            words = reading.text[item.start : items[n + 1].end]
            raise TextError(f"'{words}': what this is the {'side' if item.tag in ('side', 'relative') else 'size'} of is not understood; "
                            "name a lobe or a finding")  # fmt: skip


def _of_something_else(items: list[Item], reading: Reading) -> None:
    """Refuse a side behind something unknown, such as 'marker on the left' where no finding is named, or only after it."""
    heads = [i.tag in SUITS or i.tag in ("wmh", "again", "midline", "artefacts") for i in items]
    sides = [i for i in items if i.tag == "side"]
    lying = re.search(r"\b(?:patient|subject|head)\b[^,;.]*$|(?:患者|病人|头部)[^，。；]*$", plain(reading.text[: sides[0].start])) if sides else None
    if lying and not any(heads) and not any(i.tag in ("place", "sex", "band", "age") for i in items):
        raise TextError(f"'{reading.text[lying.start() : sides[0].end]}': is this the side of a finding? Name the finding, or leave it out")
    for n, item in enumerate(items[:-1]):
        side = items[n + 1]
        if item.tag != "word" or side.tag not in ("side", "relative") or side.denied or item.text.lower().endswith("ly"):
            continue
        between = plain(reading.text[item.end : side.start])
        if not any(heads) or not any(heads[:n]) and re.search(r"\b(?:on|from|at|in)\b|[在于自]", between):
            raise TextError(f"'{reading.text[item.start : side.end]}': what this is the side of is not understood; name a lobe or a finding, "
                            "or leave it out")  # fmt: skip
