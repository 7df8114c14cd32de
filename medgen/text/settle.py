"""What neighbouring items mean together: bounds, radii, ages, distances, sides that are none of the brain's."""

from __future__ import annotations

import re

from medgen.text.axes import axes
from medgen.text.compare import compare, one_of_several
from medgen.text.distances import distances
from medgen.text.items import BREAKS, Item, Reading, TextError
from medgen.text.lexicon import plain
from medgen.text.numbers import Quantity
from medgen.text.sound import settle_sound
from medgen.text.spec import Range
from medgen.text.unclear import count_of_lesions, no_count, no_near_denials

_VIEW = re.compile(
    r"\b(?:left|right)(?:[ -]hand)?(?: (?:side|part|half|edge))? (?:of|in|on) (?:the |this )?(?:image|picture|screen|viewer|page|display|photo)"
    r"|\b(?:image|picture|screen|viewer|observer|reader)(?:'s)?[ -](?:left|right)\b|(?<![12r像])(?:图像|图片|画面|屏幕|照片|影像)[上中的里]*[左右]"
)

#: bounds that leave out the number itself
_BEYOND = re.compile(r"(?:more|less|fewer|larger|greater|bigger|smaller) than|under|below|over|above|exceeding|in excess of|[<>]|[大小多少低高]于|超过|不到|不足|不及|逾")


def settle(reading: Reading) -> None:
    """Put items together in place: quantities become `age`, `field`, `size`, `number`, `times` or `percent` with a `Range`."""
    if found := _VIEW.search(plain(reading.text)):
        shown = reading.text[found.start() : found.end()]
        raise TextError(f"'{shown}' depends on how the image is shown; say the patient's left or right")
    count_of_lesions(reading)
    axes(reading)
    compare(reading)
    reading.items = [item for item in reading.items if item.tag != "fill"]
    settle_sound(reading)
    for pass_ in (no_near_denials, _about, _hedges, _both, _ages, _drop, _units, _bounds, distances):
        pass_(reading)


def _about(reading: Reading) -> None:
    """Take out 左右 after a number, where it means 'about' and no side."""
    items = reading.items
    for n in range(len(items) - 1, 0, -1):
        if items[n].text == "左右" and items[n - 1].tag == "quantity":
            if items[n + 1 : n + 2] and items[n + 1].tag == "place":
                raise TextError(f"'{items[n].text}' may mean 'about' or both sides; say 约, or 双侧")
            del items[n]


def _hedges(reading: Reading) -> None:
    """Make a choice of 'perhaps on the right'; drop other hedges, and the articles of persons and scans."""
    kept = []
    for n, item in enumerate(reading.items):
        following = next((i.tag for i in reading.items[n + 1 :] if i.tag != "and"), "")
        if item.tag == "hedge" and following in ("side", "place"):
            item.tag = "or"
        whose = ("sex", "age", "girl", "old", "plane", "contrast")
        article = item.tag == "count" and item.text.lower() in ("a", "an") and following in whose
        if item.tag != "hedge" and not article:
            kept.append(item)
    reading.items = kept


def _both(reading: Reading) -> None:
    """Tell 'both frontal lobes', which are two sides, from 'both 5 mm'; and 12 mm deep, which is no size, from deep tissue."""
    items = reading.items
    for n, item in enumerate(items):
        if item.tag == "both":
            sided = n + 1 < len(items) and items[n + 1].tag in ("place", "ventricles")
            item.tag, item.value = ("side", "bilateral") if sided else ("all", "-")
        elif item.tag == "deep" and n and items[n - 1].tag == "quantity":
            raise TextError(f"'{items[n - 1].text} {item.text}' is a depth, which is not understood; leave it out")
    reading.items = [item for item in items if item.tag != "deep"]


def _drop(reading: Reading) -> None:
    """Take out what is known to say nothing of the scan, with the side or the number that goes with it."""
    kept: list[Item] = []
    items = reading.items
    n = 0
    while n < len(items):
        item, last = items[n], n
        if item.tag == "drop":
            if n + 1 < len(items) and items[n + 1].tag == "quantity" and not items[n + 1].value.unit:
                last = n + 1
            reading.ignore(item, items[last], "is no side of a finding" if item.value == "side" else "")
        elif item.tag == "side" or item.tag == "body":
            while last + 1 < len(items) and items[last + 1].tag in ("word", "body"):
                last += 1
            while last > n and items[last].tag != "body":
                last -= 1
            last = _its_side(reading, last) if item.tag == items[last].tag == "body" else last
            if items[last].tag == "body" or last > n:
                reading.ignore(item, items[last], "is of the body, not of the brain" if any(i.tag == "side" for i in items[n : last + 1]) else "")
            else:
                kept.append(item)
                last = n
        else:
            kept.append(item)
        n = last + 1
    reading.items = kept


def _its_side(reading: Reading, n: int) -> int:
    """Return the place of the side behind a part of the body: 'weakness on the left'."""
    tags = [i.tag for i in reading.items[n + 1 : n + 3]]
    if tags[:1] != ["side"]:
        return n
    if tags[1:] and tags[1] not in (*BREAKS, "word", "body"):
        words = reading.text[reading.items[n].start : reading.items[n + 2].end]
        raise TextError(f"'{words}': what this is the side of is not understood; set a comma")
    return n + 1


def _ages(reading: Reading) -> None:
    """Turn words and numbers of age into `age` items; a girl is female and of an age."""
    out: list[Item] = []
    items = reading.items
    for n, item in enumerate(items):
        value = item.value
        if item.tag in ("girl", "old"):
            sex = Item("sex", value, item.start, item.end, item.text)
            out += [sex, Item("band", Range(low=2, high=17) if item.tag == "girl" else Range(low=65, high=90), *_place(item))]
        elif item.tag == "age":
            low, high = map(float, value.split())
            out.append(Item("band", Range(low=low, high=high), *_place(item)))
        elif item.tag == "quantity":
            before = [i.tag for i in items[:n] if i.tag not in ("bound", "count")][-2:]
            bare = value.unit in ("", "other") and "aged" in before[-1:]
            after = items[n + 1].tag if n + 1 < len(items) else "stop"
            years = not value.unit or value.unit == "other" and re.search(r"years?$|yrs?$|年$", plain(item.text)) is not None
            told = years and (before[-1:] == ["sex"] or before[-2:] == ["sex", "comma"])
            told = told or (years and bool(value.unit) and before[-1:] in ([], ["comma"]))
            if value.unit == "decade" and re.search("odd|something", item.text.lower()) and after in ("lesion", "wmh", "scale", "side", "place"):
                raise no_count(item.text)
            if value.unit in ("age", "decade") or bare or (told and after in ("comma", "stop", "with")):
                high = value.values[-1] + (9 if value.unit == "decade" else 0)
                out.append(Item("age", Range(low=value.values[0], high=high), *_place(item)))
            else:
                out.append(item)
        else:
            out.append(item)
    reading.items = [item for item in out if item.tag != "aged"]


def _place(item: Item) -> tuple[int, int, str]:
    return item.start, item.end, item.text


def _units(reading: Reading) -> None:
    """Turn quantities into items by their unit; '8 and 12 mm' are two of one unit."""
    out: list[Item] = []
    items = reading.items
    for n, item in enumerate(items):
        if item.tag == "count":
            low, high = map(float, item.value.split())
            item.value = Range(low=low, high=high)
        if item.tag != "quantity":
            out.append(item)
            continue
        quantity: Quantity = item.value
        unit, values = quantity.unit, quantity.values
        following = items[n + 1 : n + 3]
        if not unit and [i.tag for i in following] == ["and", "quantity"] and following[1].value.unit == "mm":
            unit = "mm"
            if (cm := re.search(r"c|厘|公分|in|英", plain(following[1].text))) is not None:
                raise TextError(f"'{item.text}' has no unit ({cm.group()}...?); write the unit after each number")
        if unit == "volume":
            raise TextError(f"'{item.text}' is a volume; say a diameter in mm or cm")
        if unit == "other":
            reading.ignored.append(item)
            continue
        tag = {"mm": "size", "tesla": "field", "percent": "percent", "times": "times", "piece": "count", "": "number"}[unit]
        value: object = Range(low=min(values), high=max(values))
        if quantity.form == "box" and unit != "mm":
            raise TextError(f"'{item.text}' has no unit; write mm or cm after it")
        if quantity.form == "box":
            tag, value = "box", list(values)
        elif tag in ("number", "count") and values[0] % 1:
            raise TextError(f"'{item.text}' has no unit; write mm or cm after it")
        out.append(Item(tag, value, *_place(item)))
    reading.items = out


def _bounds(reading: Reading) -> None:
    """Open a range by 'less than' and the like; double a radius."""
    items, out, n = reading.items, list[Item](), 0
    while n < len(items):
        item = items[n]
        if item.tag == "bound" and not item.value.startswith("after"):
            target = items[n + 1] if n + 1 < len(items) else item
            passed = ("diameter", "word") if item.value == "largest" else ("diameter",)  # 'the largest being 12 mm'
            if target.tag in passed and n + 2 < len(items):
                target = items[n + 2]
                n += 1
            if target.tag in ("size", "number", "count", "age"):
                if item.value == "largest":
                    _only_size(items, n)
                out.append(_opened(reading, item, target, item.value))
                n += 2
                continue
            if item.value == "largest" and target.tag in ("lesion", "wmh", "count", "again"):
                raise one_of_several(reading.text[item.start : target.end])
        elif item.tag == "bound" and out and out[-1].tag in ("size", "number", "count", "age"):
            out.append(_opened(reading, out.pop(), item, item.value.split()[1]))
        elif item.tag == "radius" or item.tag not in ("diameter", "bound"):
            out.append(item)
        n += 1
    out = [i for n, i in enumerate(out) if not (n and i.text.lower() in ("wide", "big") and out[n - 1].tag == "size")]
    for item in [i for i in out if i.tag == "radius"]:
        n = out.index(item)
        near = [i for i in (*out[n + 1 : n + 2], *out[n - 1 : n]) if i.tag == "size"]
        if not near:
            raise TextError(f"'{item.text}' of what? Write its size in mm after it, or a diameter")
        low, high = near[0].value.low, near[0].value.high
        near[0].value = Range(low=low and 2 * low, high=high and 2 * high)
        near[0].text, near[0].start = reading.text[min(near[0].start, item.start) : max(near[0].end, item.end)], min(near[0].start, item.start)
        out.remove(item)
    reading.items = out


def _only_size(items: list[Item], n: int) -> None:
    """Refuse a place of the largest of several lesions: it is not that of the others."""
    first = max((m for m in range(n) if items[m].tag in BREAKS), default=-1)
    last = next((m for m in range(n, len(items)) if items[m].tag in BREAKS), len(items))
    if any(i.tag in ("side", "place") for i in items[first + 1 : last]):
        raise TextError(f"'{items[n].text}' with a place is not understood; describe that lesion and the others")


def _opened(reading: Reading, first: Item, last: Item, way: str) -> Item:
    target = first if first.tag != "bound" else last
    if target.value.low != target.value.high:
        raise TextError(f"'{reading.text[first.start : last.end]}' bounds a range; say one of them")
    word = plain((last if target is first else first).text)
    step = 1 if target.tag in ("number", "count") and _BEYOND.fullmatch(word) else 0  # 'more than 3' are at least 4
    value = Range(high=target.value.high - step) if way in ("high", "largest") else Range(low=target.value.low + step)
    return reading.cover(first, last, target.tag, value)
