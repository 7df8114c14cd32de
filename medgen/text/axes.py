"""The axes of one size, such as 'AP 15 mm, transverse 8 mm' and 前后径15mm，左右径8mm: one box, as '15 x 8 mm' is."""

from __future__ import annotations

from medgen.text.items import Item, Reading
from medgen.text.lexicon import plain
from medgen.text.numbers import Quantity

#: words of other meanings that are axes where another axis stands beside them
_ALSO = {
    "transverse", "long", "wide", "length", "width", "height", "high", "tall", "左右", "长径", "长度", "long axis", "short axis",
    "diameter", "largest diameter", "longest", "greatest diameter", "maximum diameter",
}  # fmt: skip
_BETWEEN = ("comma", "paren", "and", "fill")


def axes(reading: Reading) -> None:
    """Put sizes along axes that follow each other into one box; an axis without a size means nothing."""
    items = reading.items
    n = 0
    while n < len(items):
        run, last = list[tuple[Item, Item]](), n - 1
        while (pair := _pair(items, _past(items, last + 1) if run else n)) is not None:
            run.append(pair[:2])
            last = pair[2]
        named = sum(axis.tag == "axis" for axis, _ in run)
        if named or len(run) > 1 and not all("diameter" in axis.text.lower() for axis, _ in run):
            if items[last + 1 : last + 2] and plain(items[last + 1].text) == ")":
                last += 1
            values = tuple(size.value.values[0] for _, size in run)
            box = reading.cover(items[n], items[last], "quantity", Quantity(values, "mm", "box", items[last].end))
            items[n : last + 1] = [box]
        n += 1
    for item in items:
        item.tag = "word" if item.tag == "axis" else item.tag


def _past(items: list[Item], n: int) -> int:
    """Return the place after separators, and after the x of '15 mm (AP) x 8 mm (transverse)'."""
    while n < len(items) and (items[n].tag in _BETWEEN or items[n].text.lower() in ("x", "by")) and not _is_axis(items[n]):
        n += 1
    return n


def _is_axis(item: Item) -> bool:
    return item.tag == "axis" or plain(item.text) in _ALSO


def _pair(items: list[Item], n: int) -> tuple[Item, Item, int] | None:
    """Return the axis and the size that begin at an item, and where they end."""
    found: list[Item] = []
    for m in range(n, min(n + 5, len(items))):
        item = items[m]
        sized = item.tag == "quantity" and item.value.unit == "mm" and item.value.form == "one"
        if (sized or _is_axis(item)) and all(_is_axis(i) != _is_axis(item) for i in found):
            found.append(item)
        elif not found or item.tag not in ("fill", "paren"):
            return None
        if len(found) == 2:
            return (*sorted(found, key=lambda i: not _is_axis(i)), m)  # type: ignore[return-value]
    return None
