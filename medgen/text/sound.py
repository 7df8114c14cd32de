"""Sides and places that are said to be sound: no lesion lies there, so that one without a side lies on the other side, or is refused."""

from __future__ import annotations

import re
from dataclasses import replace

from medgen.text.binding import SUITS, Group, shown
from medgen.text.clauses import Segment
from medgen.text.items import BREAKS, Item, Reading, TextError
from medgen.text.lexicon import plain
from medgen.text.spec import Lesion
from medgen.text.spots import Spot, where

_BREAKS = tuple(tag for tag in BREAKS if tag not in ("and", "or"))
_OTHER = {"left": "right", "right": "left"}
_MIDDLE = ("brainstem", "corpus callosum")  #: not of one side alone
_WIDE = ("white matter", "periventricular", "juxtacortical")  #: in every lobe
_ELSE = re.compile(r"\b(?:otherwise|other|else|further|more|additional|rest|remaining|remainder)\b|其余|其他|其它|另|余")
_REGION = re.compile(r"hemisphere|半球|\b(?:side|lobe|spared|unaffected|uninvolved|negative)\b|未受累|未累及|阴性")


def settle_sound(reading: Reading) -> None:
    """Take 'intact' of a side, a place or the ventricles for 'normal'; of the midline it says that there is no shift."""
    items = reading.items
    for n, item in enumerate(items):
        if item.tag != "centred" or item.value != "sound":
            continue
        first = max((m for m in range(n) if items[m].tag in _BREAKS), default=-1)
        last = next((m for m in range(n, len(items)) if items[m].tag in _BREAKS), len(items))
        tags = {i.tag for i in items[first + 1 : last]}
        if tags & {"side", "place", "ventricles"} and not tags & {"midline", "shift"}:
            item.tag = "normal"


def clause(reading: Reading, items: list[Item]) -> str:
    """Return the text between the commas around some items, in lower case."""
    text = plain(reading.text)
    first = max(text.rfind(c, 0, items[0].start) for c in ",，.。;；\n(")
    ends = [e for c in ",，.。;；\n)" if (e := text.find(c, items[-1].end)) >= 0]
    return text[first + 1 : min(ends, default=len(text))]


def of_a_region(reading: Reading, items: list[Item]) -> bool:
    """Tell whether a hemisphere or a lobe is sound, rather than that one lesion is 'not on the right'."""
    return bool(_REGION.search(clause(reading, items))) or any(i.tag == "place" for i in items)


def of_lesions(segments: list[Segment], n: int, groups: list[Group]) -> bool:
    """Tell whether a denied side without a finding is of lesions: the last finding is one, or the next where none is in the sentence."""
    last = groups[-1] if groups else None
    if last is not None and (last.head.tag == "lesion" or last.sentence == segments[n].sentence):
        return last.head.tag == "lesion"
    return next((i.tag for s in segments[n + 1 :] for i in s.items if i.tag in SUITS or i.tag == "wmh"), "") in ("lesion", "wmh")


def sound_half(groups: list[Group], heavy: list[Item], reading: Reading) -> bool:
    """Tell whether a normal side is of the ventricles or the atrophy said before ('left ventricle enlarged, right normal')."""
    last, sides = groups[-1] if groups else None, [i for i in heavy if i.tag == "side"]
    whole = any(i.tag == "place" for i in heavy) or re.search("hemisphere|半球", clause(reading, heavy))
    if last is None or last.head.tag not in ("ventricles", "atrophy") or not sides or whole:
        return False
    told = last.all("side")
    if not told or any(i.value in ("bilateral", s.value) for i in told for s in sides):
        raise TextError(f"'{shown(heavy, reading)}' after '{last.head.text}': say of each side whether it is normal")
    for item in heavy:
        item.meaning = f"normal: {sides[0].value} side of the {last.head.tag}"
    return True


def keep_off(found: list[tuple[Group, list[Lesion]]], denied: list[tuple[str, list[Item], bool]], reading: Reading) -> None:
    """Set the side of lesions that have none, where the other one is sound. `TextError` where a lesion is said to be there, or may be.

    Args:
        found: lesions by group; changed in place.
        denied: kind of lesion that is denied, where (items of sides and places), and whether that is of a region, for all lesions.
    """
    for kind, items, region in denied:
        words = reading.text[min(i.start for i in items) : max(i.end for i in items)].strip()
        spots = _spots(items, words)
        others = bool(_ELSE.search(clause(reading, items)))
        for n, (group, some) in enumerate(found):
            if group.exception:
                if spots and any(lesion.side is None for lesion in some):
                    raise TextError(f"'{words}' has no lesion except one whose side is not said; say left or right of it too")
                continue
            told = [_off(lesion, kind, spots, words, region, others) for lesion in some]
            if told != some:
                side = next(new.side for new, old in zip(told, some) if new != old)
                group.head.meaning += f"; side: {side}, since '{words}' has none"
            found[n] = (group, told)


def _spots(items: list[Item], words: str) -> list[Spot]:
    meanings = [i.meaning for i in items]
    spots = where([replace(i, tag="and") if i.tag == "or" else i for i in items], words)
    for item, meaning in zip(items, meanings):
        item.meaning = meaning
    return [s for spot in spots for s in ([replace(spot, side=side) for side in _OTHER] if spot.side == "bilateral" else [spot]) if s.side]


def _off(lesion: Lesion, kind: str, spots: list[Spot], words: str, region: bool, others: bool) -> Lesion:
    if kind not in ("unspecified", lesion.kind):
        return lesion
    here = [s.side for s in spots if s.place is None or s.place == lesion.place]
    partly = [s.side for s in spots if s.side not in here and _overlap(s.place or "", lesion.place)]
    if lesion.side is not None:
        if region and not others and (lesion.side in here or lesion.side == "bilateral" and here):
            raise TextError(f"'{words}' is said to be without a lesion, and has one; say one")
        return lesion
    if not here and not partly:
        return lesion
    if partly or others or len(set(here)) > 1 or lesion.place in _MIDDLE:
        raise TextError(f"'{words}' is said to be without a lesion; say of the {lesion.place or 'other'} lesion on which side it is")
    return lesion.model_copy(update={"side": _OTHER[here[0] or ""]})


def _overlap(a: str, b: str | None) -> bool:
    """Tell whether two places have tissue in common, as frontal and frontoparietal."""
    if b is None or a in _WIDE or b in _WIDE:
        return True
    return bool(_lobes(a) & _lobes(b))


def _lobes(place: str) -> set[str]:
    return {lobe for lobe in ("front", "pariet", "tempor", "occipit") if lobe in place} or {place}
