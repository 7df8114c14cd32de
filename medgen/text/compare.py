"""Sizes that are told by comparing: '5 mm or less' and 比5mm小 are bounds; 'the larger', 'same size' and 后者 are refused."""

from __future__ import annotations

import re

from medgen.text.items import BREAKS, Item, Reading, TextError
from medgen.text.lexicon import plain

_FOUND = ("lesion", "wmh", "again", "ventricles")
_THAN = re.compile(r".*than|exceeding|as (?:large|big) as|as small as|不?[大小多少高低]于|超过|不及")
_THE = re.compile(r"\b(?:the|that|this|those|these|its|another)\b|其")
_USUAL = ("expected", "usual", "average", "common", "预期", "常人")
_BEHIND = ("max", "at most", "at least", "not exceeding", "至多", "最多", "至少", "最少", "不到", "不足", "不及")  #: bounds that may follow their size
_MORE = ("余", "多", "有余", "开外", "出头", "强", "许多")
_EARLIER = re.compile(r"\b(?:prior|previous|earlier|last|before)\b|前片|前次|旧片|既往|上次")  #: scans, which are compared with too
_SMALLER = re.compile(r"[小短低弱少]")


def compare(reading: Reading) -> None:
    """Make bounds of what compares with a number. `TextError` for what compares lesions: a `Lesion` has a size of its own."""
    _behind(reading)
    _bi(reading)
    for n, item in enumerate(reading.items):
        if item.tag == "bound" and _THAN.fullmatch(plain(item.text)):
            _than(reading, n)
        elif item.tag in ("pointer", "equal", "comparative"):
            _word(reading, n)


def refused(words: str) -> TextError:
    return TextError(f"'{words}' compares, and is not understood; say of each lesion where it is, and its size in mm")


def one_of_several(words: str) -> TextError:
    return TextError(f"'{words}' is of one of several lesions; describe that one and the others, or write 'up to' (不超过) for each, "
                     "or 'diameter' (直径) of a single one")  # fmt: skip


def _chunk(items: list[Item], n: int) -> list[Item]:
    """Return the items between the separators around an item."""
    first = max((m for m in range(n) if items[m].tag in BREAKS), default=-1)
    last = next((m for m in range(n + 1, len(items)) if items[m].tag in BREAKS), len(items))
    return items[first + 1 : last]


def _is_size(item: Item) -> bool:
    return item.tag == "quantity" and item.value.unit == "mm"


def _word(reading: Reading, n: int) -> None:
    """Refuse a word that compares, unless its lesion has its own size: 'two identical 5 mm lesions'."""
    items, item = reading.items, reading.items[n]
    chunk = _chunk(items, n)
    following = items[n + 1] if n + 1 < len(items) else None
    if not any(i.tag in _FOUND for i in items) or item.tag == "pointer" and following is not None and following.tag == "word":
        item.tag = "word"  # 'a former smoker'
        return
    earlier = item.tag == "equal" and _EARLIER.search(plain(reading.text[chunk[0].start : chunk[-1].end]))
    own = earlier or any(i.tag in _FOUND for i in chunk) and any(map(_is_size, chunk)) and not any(i.tag == "relative" for i in chunk)
    if item.tag == "pointer" or not own:
        raise refused(item.text)
    item.tag = "word"


def _than(reading: Reading, n: int) -> None:
    items, item = reading.items, reading.items[n]
    rest = [i for i in items[n + 1 :] if i.tag not in ("fill", "diameter", "hedge")]
    target = rest[0] if rest else None
    if target is None:
        return
    shown = reading.text[item.start : target.end]
    if target.tag == "normal" or target.text.lower() in _USUAL:
        if not re.match(r"no|不", plain(item.text)):  # 'no larger than normal' is normal
            small = bool(re.search(r"small|less|fewer|小|少|低|不及", plain(item.text)))
            items[n] = reading.cover(item, target, "slit" if small else "enlarged", "-")
            items[:] = [i for i in items if i is not target]
        return
    other = target.tag == "count" and target.text.lower() in ("a", "an", "another", "the other")
    if other or target.tag in (*_FOUND, "side", "place", "relative"):
        raise refused(shown)
    chunk = _chunk(items, n)
    if target.tag == "word" and any(_is_size(i) and i.start > item.end for i in chunk):
        raise refused(shown)
    if target.tag != "quantity":
        return
    after = chunk[chunk.index(target) + 1 :] if target in chunk else []
    leads = not any(i.tag in ("side", "place", "count", "quantity") for i in chunk[: chunk.index(item)])
    other = leads and any(i.tag in _FOUND for i in after) and any(i.tag in ("lesion", "wmh") for i in items[:n])
    between = any(i.tag in ("lesion", "wmh") for i in chunk[: chunk.index(item)]) and any(i.tag in _FOUND for i in after)
    if _is_size(target) and other or between or _THE.search(plain(reading.text[item.end : target.start])):
        raise refused(shown)


def _bi(reading: Reading) -> None:
    """Make a bound of 比5mm小; refuse 比右侧病灶大."""
    items = reading.items
    for item in [i for i in items if i.tag == "bi"]:
        n = items.index(item)
        chunk = [i for i in _chunk(items, n) if i.start > item.start and i.tag != "fill"]
        way = next((i for i in chunk if i.tag in ("scale", "enlarged", "comparative") or i.text[0] in "短长高低"), None)
        item.tag = "fill"
        if way is None:
            continue
        between = [i for i in chunk[: chunk.index(way)] if i.tag != "grade"]
        if len(between) == 1 and _is_size(between[0]):
            way.tag, way.value = "bound", f"after {'high' if _SMALLER.search(way.text) else 'low'}"
            first, last = items.index(between[0]), items.index(way)
            items[first + 1 : last] = []
            last = first + 2
            if items[last : last + 1] and items[last].text in ("一点", "一些", "些", "点"):
                del items[last]
        elif any(_is_size(i) or i.tag in (*_FOUND, "side", "place", "relative") for i in between):
            raise refused(reading.text[item.start : way.end])


def _behind(reading: Reading) -> None:
    """Tell bounds that stand behind their size: '2 cm+', '2 cm plus', 1厘米余, '5 mm at most', '5 mm, or less'."""
    items = reading.items
    for n in range(len(items) - 1, 0, -1):
        item, text = items[n], plain(items[n].text)
        following = next((i.tag for i in items[n + 1 :] if i.tag != "fill"), "stop")
        ends = following in ("stop", "comma", "paren", "lesion", "wmh", "again")
        if item.tag == "bound" and item.value.startswith("after") and items[n - 1].tag == "comma":
            del items[n - 1]
            continue
        before = next((i for i in reversed(items[:n]) if i.tag not in ("fill", "diameter")), item)
        if not _is_size(before):
            continue
        joined = before.end == item.start
        way = ""
        plus = text == "+" and (ends or joined and following in ("side", "place")) or text == "plus" and ends
        if plus or joined and text in _MORE:
            way = "low"
        elif joined and text == "弱":
            way = "high"
        elif item.tag == "bound" and text in _BEHIND and following not in ("quantity", "diameter"):
            way = item.value
        if way:
            item.tag, item.value = "bound", f"after {way}"
