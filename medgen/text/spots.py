"""Where the lesions of a group are, how large, and how many."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medgen.text.items import Item, Reading, TextError
from medgen.text.spec import Range

_BORDERS = {
    frozenset(("frontal", "parietal")): "frontoparietal", frozenset(("frontal", "temporal")): "frontotemporal",
    frozenset(("temporal", "parietal")): "temporoparietal", frozenset(("temporal", "occipital")): "temporo-occipital",
    frozenset(("parietal", "occipital")): "parieto-occipital",
}  # fmt: skip
_TISSUE = ("white matter", "periventricular", "juxtacortical")
_SIDELESS = (*_TISSUE, "brainstem", "corpus callosum")  #: 'left frontal lobe and brainstem' is no left brainstem


@dataclass(frozen=True)
class Spot:
    """Where a lesion is: side and place, and whether an 'and' stands before it."""

    side: str | None = None
    place: str | None = None
    joined: bool = False


def where(said: list[Item], shown: str) -> list[Spot]:
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
                spots.append(Spot(None if item.value in _SIDELESS and joined else last.side, item.value, joined))
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


def sides_of_one(spots: list[Spot]) -> list[Spot]:
    """Return one bilateral spot for the left and the right of one place."""
    if {s.side for s in spots} == {"left", "right"} and len(spots) == 2 and len({s.place for s in spots}) == 1:
        return [replace(spots[0], side="bilateral")]
    return spots


def diameters(said: list[Item], shown: str, reading: Reading) -> list[Range]:
    """Return the diameters of a group: several only where 'and' joins them."""
    sizes: list[Range] = []
    word: Range | None = None
    joined = False
    for item in said:
        if item.tag == "and":
            joined = True
        elif item.tag == "scale":
            low, high = map(float, item.value.split())
            if word is not None and word != Range(low=low, high=high):
                raise TextError(f"'{shown}' has two words for its size; describe each lesion")
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


def how_many(said: list[Item], shown: str) -> tuple[Range | None, bool]:
    """Return how many lesions a group has, and whether only an article says so."""
    counts: list[Range] = []
    article = True
    for item in said:
        if item.tag in ("count", "number"):
            value = item.value
            article = article and item.text.lower() in ("a", "an")
            item.meaning = f"count: {value}"
            if value not in counts:
                counts.append(value)
    if len(counts) > 1:
        raise TextError(f"'{shown}' has two counts, {counts[0]} and {counts[1]}; say one, or describe each lesion")
    return (counts[0] if counts else None), article and bool(counts)
