"""The lesions of a sentence: places, sizes and counts of each group made into `Lesion`s, or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from medgen.text.groups import Group
from medgen.text.items import Item, Reading, TextError
from medgen.text.spec import Lesion, Range

_LOBES = ("frontal", "parietal", "temporal", "occipital")
_BORDERS = {
    frozenset(("frontal", "parietal")): "frontoparietal", frozenset(("frontal", "temporal")): "frontotemporal",
    frozenset(("temporal", "parietal")): "temporoparietal", frozenset(("temporal", "occipital")): "temporo-occipital",
    frozenset(("parietal", "occipital")): "parieto-occipital",
}  # fmt: skip
_TISSUE = ("white matter", "periventricular", "juxtacortical")


@dataclass(frozen=True)
class Spot:
    """Where a lesion is: side and place, and whether an 'and' stands before it."""

    side: str | None = None
    place: str | None = None
    joined: bool = False


def lesions(groups: list[Group], reading: Reading) -> list[Lesion] | None:
    """Return the lesions that groups ask for; empty where they were denied, None where there are no groups."""
    found: list[tuple[Group, list[Lesion]]] = []
    mine = [g for g in groups if g.head.tag == "lesion"]
    for group in mine:
        kind = group.head.value.split()[0]
        for item in group.said:
            if item.tag in ("or", "relative") and not group.head.denied:
                raise TextError(f"'{_shown(group, reading)}' leaves a choice open; say which")
        if group.head.denied or kind == "denied":
            for item in (group.head, *group.said):
                item.meaning = "denied: no lesion"
            continue
        meant = [i for i in group.said if not i.denied]
        if len(meant) < len(group.said) and not _weighty(meant):
            if not found:
                raise TextError(f"'{_shown(group, reading)}' says where no lesion is; say where it is")
            _agree(group, found[-1][1], reading)
            continue
        if any(i.denied and any(j.tag == i.tag and j.value == i.value for j in meant) for i in group.said):
            raise TextError(f"'{_shown(group, reading)}' is said and denied; say one")
        where = ("side", "place")
        if any(i.tag in where for i in group.said) and not any(i.tag in where for i in meant):
            raise TextError(f"'{_shown(group, reading)}' says where no lesion is; say where it is")
        for item in group.said:
            item.meaning = "denied" if item.denied else item.meaning
        group.said = meant
        if kind in ("again", "pointed"):
            _earlier(group, found, mine, reading)
        else:
            found.append((group, _resolve(group, reading)))
    for (group, some), (after, _) in zip(found, found[1:]):
        told = not any(i.tag in ("side", "place", "from") for i in group.said) and after.head.value.startswith("pointed")
        if some and told and not group.head.value.startswith("pointed"):
            raise TextError(f"'{_shown(group, reading)}' are more than those described after it; describe each")
    _oedema([g for g in groups if g.head.tag == "oedema"], found, groups, reading)
    listed = [lesion for _, some in found for lesion in some]
    if len({lesion.kind for lesion in listed}) == 2:  # 'MS with a 5 mm lesion': the name of a disease is the lesion's kind
        bare = [s for s in listed if s == Lesion(kind="ms-like")]
        others = [s for s in listed if s.kind == "unspecified"]
        if bare and len(bare) + len(others) == len(listed):
            listed = [s.model_copy(update={"kind": "ms-like"}) for s in others]
    return listed if mine else None


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
    told_of = parent_group is not None and not any(i.tag in ("side", "place", "from") for i in parent_group.said)
    if told_of and parent_group is name:
        n = next(n for n, f in enumerate(found) if f[0] is name)
        if not found[n][1]:
            raise TextError(f"'{_shown(name, reading)}' are fewer than those described after it; say how many there are")
        parent = found[n][1][0]
        if parent.count is None or parent.count.low != parent.count.high or len(found[n][1]) > 1:
            raise TextError(f"'{_shown(name, reading)}' and '{_shown(group, reading)}': say how many there are, or describe each")
        if parent.diameter_mm is not None:
            new = [s if s.diameter_mm else s.model_copy(update={"diameter_mm": parent.diameter_mm}) for s in new]
        new = [s if s.count else s.model_copy(update={"count": Range(low=1, high=1)}) for s in new]
        found.append((group, new))
        told = [s for f in found[n + 1 :] for s in f[1]]
        total = sum(s.count.low or 0 for s in told if s.count)
        if total > (parent.count.low or 0):
            raise TextError(f"'{_shown(name, reading)}' are fewer than those described after it; say how many there are")
        found[n] = (name, [] if total == parent.count.low else [parent])
        return
    found.append((group, new))


def _resolve(group: Group, reading: Reading, kind: str | None = None) -> list[Lesion]:
    """Return the lesions of one group."""
    said, shown = group.said, _shown(group, reading)
    kind, number = kind or group.head.value.split()[0], group.head.value.split()[1]
    spots, sizes = _spots(said, shown), _sizes(said, shown, reading)
    each, respectively = any(i.tag == "each" for i in said), any(i.tag == "respectively" for i in said)
    count, article = _count(said, shown)
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
        one = Range(low=1, high=1) if number != "mass" else None
        return [_lesion(kind, spot, size, one) for spot, size in pairs]
    size = sizes[0] if sizes else None
    spots = _sides_of_one(spots)
    alone = number == "one" or (count is not None and count.high == 1)
    if len(spots) <= 1:
        spot = spots[0] if spots else Spot()
        if count is None and number == "one" and spot.side != "bilateral":
            count = Range(low=1, high=1)
        if spot.side == "bilateral" and each and count is not None and any(i.tag in ("count", "number") for i in said) and count.high == 1:
            count = Range(low=2, high=2)
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
        from medgen.text.parse import reason

        raise TextError(f"'{shown}': {reason(error)}" if shown else reason(error)) from None


def _spots(said: list[Item], shown: str) -> list[Spot]:
    """Return where the lesions of a group are, in the order of the text; a side holds for the places joined to it."""
    spots: list[Spot] = []
    joined, fresh, apart = False, True, False
    for item in said:
        if item.tag == "and":
            joined = True
        elif item.tag == "comma":
            joined, fresh, apart = item.value == "list", True, item.value != "list"
        elif item.tag in ("side", "from"):
            side = item.value.split()[-1]
            item.meaning = f"side: {side}"
            spots.append(Spot(side, None, joined))
            joined, fresh = False, True
        elif item.tag == "place":
            item.meaning = f"place: {item.value}"
            last = spots[-1] if spots else None
            if last and last.place is None and not joined and (fresh or last.side):
                spots[-1] = replace(last, place=item.value)
                for n in range(len(spots) - 2, -1, -1):  # 'left and right frontal': the place is that of both
                    if spots[n].place is None and spots[n + 1].joined:
                        spots[n] = replace(spots[n], place=item.value)
            elif last and (joined or apart):
                spots.append(Spot(last.side, item.value, joined))
            elif last:
                spots[-1] = replace(last, place=_one_place(last.place, item.value, shown))
            else:
                spots.append(Spot(None, item.value, joined))
            joined, fresh, apart = False, False, False
        elif item.tag in ("size", "box"):
            joined = False
    return _united(spots, shown)


def _one_place(first: str | None, second: str, shown: str, apart: bool = False) -> str:
    """Return the one place that two names in a row mean: 'frontal white matter' is frontal."""
    if first is None or first == second:
        return second
    if first in _TISSUE and second in _TISSUE:
        return first if second == "white matter" else second
    if second == "white matter":
        return first
    if first == "white matter":
        return second
    if (border := _BORDERS.get(frozenset((first, second)))) and not apart:
        return border
    raise TextError(f"'{shown}' names two places, {first} and {second}; say one, or describe each lesion")


def _united(spots: list[Spot], shown: str) -> list[Spot]:
    """Put together a side and a place that were said apart, and refuse sides that contradict each other."""
    out: list[Spot] = []
    for spot in spots:
        if spot.joined or not out:
            out.append(spot)
            continue
        last = out[-1]
        if spot.side and last.side and spot.side != last.side:
            raise TextError(f"'{shown}' is said to be {last.side} and {spot.side}; say one, or describe each lesion")
        side = last.side or spot.side
        place = last.place if spot.place is None else _one_place(last.place, spot.place, shown, apart=True)
        out[-1] = Spot(side, place, last.joined)
        if last.side is None:  # 'frontal and parietal lobes on the left'
            out = [replace(s, side=side) if s.side is None else s for s in out]
    return list(dict.fromkeys(replace(s, joined=True) for s in out))


def _sides_of_one(spots: list[Spot]) -> list[Spot]:
    """Return one bilateral spot for the left and the right of one place."""
    if {s.side for s in spots} == {"left", "right"} and len(spots) == 2 and len({s.place for s in spots}) == 1:
        return [replace(spots[0], side="bilateral")]
    return spots


def _sizes(said: list[Item], shown: str, reading: Reading) -> list[Range]:
    """Return the diameters of a group: several only where 'and' joins them."""
    sizes: list[Range] = []
    word: Range | None = None
    joined = False
    for item in said:
        if item.tag == "and":
            joined = True
        elif item.tag == "scale":
            low, high = map(float, item.value.split())
            word = Range(low=low, high=high)
            item.meaning = f"diameter: {word} mm, unless a number is given"
        elif item.tag in ("size", "box"):
            size = item.value
            if item.tag == "box":
                size = Range(low=max(item.value), high=max(item.value))
                reading.warnings.append(f"'{item.text}': the longest of these was taken as the diameter, {max(item.value):g} mm")
            item.meaning = f"diameter: {size} mm"
            if sizes and not joined and size != sizes[-1]:
                raise TextError(f"'{shown}' has two sizes, {sizes[-1]} and {size} mm; say one, or describe each lesion")
            if not sizes or joined:
                sizes.append(size)
            joined = False
        elif item.tag == "comma":
            joined = False
    if word is not None and sizes:
        for size in sizes:
            if (size.high is not None and size.high < (word.low or 0) / 2) or (size.low or 0) > 2 * (word.high or 0):
                raise TextError(f"'{shown}': {size} mm contradicts the word for its size; say one")
    return sizes or ([word] if word is not None else [])


def _count(said: list[Item], shown: str) -> tuple[Range | None, bool]:
    """Return how many lesions a group has, and whether only an article says so."""
    counts: list[Range] = []
    article = True
    for item in said:
        if item.tag in ("count", "number"):
            low_high = item.value.split() if isinstance(item.value, str) else None
            value = Range(low=float(low_high[0]), high=float(low_high[1])) if low_high else item.value
            article = article and item.text.lower() in ("a", "an")
            item.meaning = f"count: {value}"
            if value not in counts:
                counts.append(value)
    if len(counts) > 1:
        raise TextError(f"'{shown}' has two counts, {counts[0]} and {counts[1]}; say one, or describe each lesion")
    return (counts[0] if counts else None), article and bool(counts)


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
