"""The lesions of a sentence: places, sizes and counts of each group made into `Lesion`s, or refused."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

from medgen.text.binding import Group
from medgen.text.compare import one_of_several
from medgen.text.items import Item, Reading, TextError
from medgen.text.sound import keep_off, of_a_region
from medgen.text.spec import Lesion, Range, reason
from medgen.text.spots import Spot, diameters, how_many, sides_of_one, where

_LARGEST = re.compile(r"(?:the )?(?:largest|biggest)|最大|较大者")


def lesions(groups: list[Group], reading: Reading) -> list[Lesion] | None:
    """Return the lesions that groups ask for; empty where they were denied, None where there are no groups."""
    found: list[tuple[Group, list[Lesion]]] = []
    denied = [("unspecified", items, of_a_region(reading, items)) for items in reading.sound]
    mine = [g for g in groups if g.head.tag == "lesion"]
    for group in mine:
        kind = group.head.value.split()[0]
        for item in group.said:
            if item.tag in ("or", "relative") and not group.head.denied:
                raise TextError(f"'{_shown(group, reading)}' leaves a choice open; say which")
        if group.head.denied:
            _check_denied(group, reading)
            for item in (group.head, *group.said):
                item.meaning = "denied: no lesion"
            if placed := [i for i in group.said if i.tag in ("side", "place", "and", "or")]:
                kind = kind if kind not in ("again", "pointed") else "unspecified"
                denied.append((kind, placed, True))
            continue
        meant = [i for i in group.said if not i.denied]
        if len(meant) < len(group.said) and not _weighty(meant):
            if not found:
                raise TextError(f"'{_shown(group, reading)}' says where no lesion is; say where it is")
            _agree(group, found[-1][1], reading)
            continue
        if any(i.denied and any(j.tag == i.tag and j.value == i.value for j in meant) for i in group.said):
            raise TextError(f"'{_shown(group, reading)}' is said and denied; say one")
        spot = ("side", "place")
        if any(i.tag in spot for i in group.said) and not any(i.tag in spot for i in meant):
            raise TextError(f"'{_shown(group, reading)}' says where no lesion is; say where it is")
        for item in group.said:
            item.meaning = "denied" if item.denied else item.meaning
        said, group.said = group.said, meant
        if kind in ("again", "pointed"):
            _earlier(group, found, mine, reading)
        else:
            found.append((group, _resolve(group, reading)))
        if not_there := [i for i in said if i.denied and i.tag in spot]:
            keep_off(last := found[-1:], [("unspecified", not_there, False)], reading)
            found[-1:] = last
    keep_off(found, denied, reading)
    for (group, some), (after, _) in itertools.pairwise(found):
        told = after.head.value.startswith("pointed") and _tells(group, after)
        if some and told and not group.head.value.startswith("pointed"):
            raise TextError(f"'{_shown(group, reading)}' are more than those described after it; describe each")
    _oedema([g for g in groups if g.head.tag == "oedema"], found, groups, reading)
    listed = [lesion for _, some in found for lesion in some]
    others = [s for s in listed if s != Lesion(kind="ms-like")]
    if others and all(s.kind in ("unspecified", "ms-like") for s in others) and len(others) < len(listed):
        listed = [s.model_copy(update={"kind": "ms-like"}) for s in others]  # 'MS with a 5 mm lesion': the disease is its kind
    return listed if mine else None


def _check_denied(group: Group, reading: Reading) -> None:
    """Refuse denials that may be of a part: 'no lesion on the left one on the right', 'no large lesions', 'no lesion over 5 mm'."""
    if any(i.tag == "scale" or (i.tag == "size" and i.value.low != i.value.high) for i in group.said):
        raise TextError(f"'{_shown(group, reading)}': is only this size denied, or all? Say what there is, or 'no lesions'")
    counted = any(i.tag in ("number", "count") and i.start > group.head.start for i in group.said)
    sides = [i.value for i in group.said if i.tag == "side"]
    if any(i.tag in ("number", "count") and i.value != Range(low=1, high=1) for i in group.said):
        raise TextError(f"'{_shown(group, reading)}': is only this count denied, or all? Say how many there are, or 'no lesions'")
    if counted or (len(set(sides)) > 1 and not group.all("and", "or")):
        raise TextError(f"'{_shown(group, reading)}' may be denied as a whole or in part; set a comma where the denial ends")


def _shown(group: Group, reading: Reading) -> str:
    told = [i for i in (group.head, *group.said) if i.text]
    return reading.text[min(i.start for i in told) : max(i.end for i in told)].strip()


def _weighty(items: list[Item]) -> list[Item]:
    return [i for i in items if i.tag in ("side", "place", "from", "size", "box", "scale", "count", "number")]


def _agree(group: Group, earlier: list[Lesion], reading: Reading) -> None:
    for item in (group.head, *group.said):
        if item.denied and item.tag == "side" and any(s.side == item.value for s in earlier):
            raise TextError(f"'{_shown(group, reading)}' denies what was said before; say one")
        item.meaning = "denied"


def _earlier(group: Group, found: list[tuple[Group, list[Lesion]]], mine: list[Group], reading: Reading) -> None:
    """Resolve 'it' and 'one on the right': more is said of the lesion before, one of those is told, or another one."""
    pointed = group.head.value.startswith("pointed")
    before = mine[: mine.index(group)]
    parents = [f for f in found if not f[0].head.value.startswith("pointed")]
    if not before:
        raise TextError(f"'{_shown(group, reading)}' of what? Name the lesion first")
    if not pointed or (not any(i.tag in ("side", "place", "from") for i in group.said) and not group.exception):
        if not found:
            raise TextError(f"'{_shown(group, reading)}' points at a lesion that was denied; say what there is")
        parent = found[-1][0]
        if _weighty(group.said):
            if sum(len(some) for _, some in found) > 1:
                raise TextError(f"'{_shown(group, reading)}' may be said of any of the lesions before; say it of each")
            parent.said += [Item("comma", None, 0, 0, ""), *group.said]
            found[-1] = (parent, _resolve(parent, reading))
        group.head.meaning = "the lesion named before"
        return
    name = next(g for g in reversed(before) if not g.head.value.startswith(("pointed", "again")))
    kind, rest = name.head.value.split()
    group.head.value = f"pointed {rest}"
    new = [s.model_copy(update={"kind": kind}) for s in _resolve(group, reading, "unspecified")]
    group.head.meaning = f"a {kind} lesion"
    parent_group = parents[-1][0] if parents and not name.head.denied else None
    if parent_group is name and _tells(name, group):
        n = next(n for n, f in enumerate(found) if f[0] is name)
        if not found[n][1]:
            raise TextError(f"'{_shown(name, reading)}' are fewer than those described after it; say how many there are")
        whole = found[n][1][0]
        if whole.count is None or whole.count.low != whole.count.high or len(found[n][1]) > 1:
            raise TextError(f"'{_shown(name, reading)}' and '{_shown(group, reading)}': say how many there are, or describe each")
        if whole.diameter_mm is not None:
            new = [s if s.diameter_mm else s.model_copy(update={"diameter_mm": whole.diameter_mm}) for s in new]
        if whole.place is not None:
            new = [s if s.place else s.model_copy(update={"place": whole.place}) for s in new]
        new = [s if s.count else s.model_copy(update={"count": Range(low=1, high=1)}) for s in new]
        found.append((group, new))
        told = [s for f in found[n + 1 :] for s in f[1]]
        total = sum(s.count.low or 0 for s in told if s.count)
        if total > (whole.count.low or 0):
            raise TextError(f"'{_shown(name, reading)}' are fewer than those described after it; say how many there are")
        found[n] = (name, [] if total == whole.count.low else [whole])
        return
    found.append((group, new))


def _tells(name: Group, pointed: Group) -> bool:
    """Tell whether 'one on the left' is one of the lesions named before, rather than a further one: these have no place, or no side."""
    if not any(i.tag in ("side", "place") for i in name.said):
        return True
    counted = any(i.tag in ("number", "count") and i.text.lower() not in ("a", "an") for i in name.said)
    return counted and not name.all("side") and bool(pointed.all("side")) and not pointed.all("place")


def _resolve(group: Group, reading: Reading, kind: str | None = None) -> list[Lesion]:
    """Return the lesions of one group."""
    said, shown = group.said, _shown(group, reading)
    one = [i for i in said if i.tag in ("number", "count") and i.start < group.head.start and i.value == Range(low=1, high=1)]
    if one and kind is None and group.head.value.endswith(" many"):
        raise TextError(f"'{shown}': is it one or many? Write a number, or take out '{one[0].text}'")
    kind, number = kind or group.head.value.split()[0], group.head.value.split()[1]
    count, article = how_many(said, shown)
    for item in said:
        if item.tag == "size" and _LARGEST.match(item.text.lower()):  # of one lesion it is the size, of several that of one only
            if number != "one" and (count is None or count.high != 1):
                raise one_of_several(item.text)
            item.value = Range(low=item.value.high, high=item.value.high)
    spots, sizes = where(said, shown), diameters(said, shown, reading)
    each, respectively = any(i.tag == "each" for i in said), any(i.tag == "respectively" for i in said)
    for item in said:
        if item.tag == "number" and item.start > group.head.start and item.text[0].isdigit():
            raise TextError(f"'{item.text}' in '{shown}' has no unit; write mm or cm after a size")
    if number == "wm" and not any(s.place for s in spots):
        spots = [replace(s, place="white matter") for s in spots] or [Spot(place="white matter")]
    group.head.meaning = f"{kind} lesion"
    if len(sizes) > 1:
        if respectively and len(sizes) == len(spots):
            pairs = list(zip(spots, sizes))
        elif len(spots) <= 1 and not respectively and (number == "many" or count is not None):
            pairs = [(spots[0] if spots else Spot(), size) for size in sizes]
        else:
            raise TextError(f"'{shown}': which size is where? Describe each lesion, or say 'respectively'")
        if count is not None and not article and not (each and count.high == 1) and count != Range(low=len(sizes), high=len(sizes)):
            raise TextError(f"'{shown}' has {len(sizes)} sizes for {count} lesions; describe each")
        single = Range(low=1, high=1) if number != "mass" else None
        return [_lesion(kind, spot, size, single) for spot, size in pairs]
    size = sizes[0] if sizes else None
    spots = sides_of_one(spots)
    alone = number == "one" or (count is not None and count.high == 1)
    if len(spots) <= 1:
        spot = spots[0] if spots else Spot()
        if count is None and number == "one" and spot.side != "bilateral":
            count = Range(low=1, high=1)
        if spot.side == "bilateral" and each and count is not None:  # as many on either side
            count = Range(low=count.low and 2 * count.low, high=count.high and 2 * count.high)
        return [_lesion(kind, spot, size, count, shown)]
    if alone and not each:
        raise TextError(f"'{shown}': one lesion cannot be in {len(spots)} places; describe each")
    if count is not None and not each and count.low != count.high:
        reading.warnings.append(f"'{shown}': how many are in each place is left open")
        count = None
    elif count is not None and not each:
        if count.low != len(spots):
            raise TextError(f"'{shown}': how many are where? Describe the lesions of each place")
        count = Range(low=1, high=1)
    return [_lesion(kind, spot, size, count, shown) for spot in spots]


def _lesion(kind: str, spot: Spot, size: Range | None, count: Range | None, shown: str = "") -> Lesion:
    values: dict[str, Any] = {"kind": kind, "side": spot.side, "place": spot.place, "diameter_mm": size, "count": count}
    try:
        return Lesion.model_validate(values)
    except ValueError as error:
        raise TextError(f"'{shown}': {reason(error)}" if shown else reason(error)) from None


def _oedema(groups: list[Group], found: list[tuple[Group, list[Lesion]]], order: list[Group], reading: Reading) -> None:
    for group in groups:
        if group.all("size", "box"):
            raise TextError(f"'{_shown(group, reading)}': a width of oedema is not supported; leave it out")
        before = [n for n, f in enumerate(found) if order.index(_same(f[0], order)) < order.index(group)]
        if not found:
            if group.head.denied:
                group.head.meaning = "denied: no oedema"
                continue
            raise TextError(f"'{_shown(group, reading)}' of what? Name the lesion that it surrounds")
        n = before[-1] if before else 0
        if extra := [i for i in group.said if i.tag in ("side", "place")]:
            found[n][0].said += extra
            found[n] = (found[n][0], _resolve(found[n][0], reading))
        found[n] = (found[n][0], [s.model_copy(update={"oedema": not group.head.denied}) for s in found[n][1]])
        group.head.meaning = "no oedema" if group.head.denied else "oedema"
        for item in group.all("grade", "scale"):
            reading.warnings.append(f"'{item.text}': oedema has no grade here; ignored")


def _same(group: Group, order: list[Group]) -> Group:
    return next(g for g in order if g.head is group.head)
