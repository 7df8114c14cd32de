"""A sentence as a row of items: phrases of the lexicon, quantities, unknown words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from medgen.text import lexicon, numbers


class TextError(ValueError):
    """A sentence that contradicts itself, or asks for what there is not: what, and what to say instead, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass(eq=False)
class Item:
    """A piece of the sentence: what it is (`tag`), what it says (`value`), and where it stands."""

    tag: str
    value: Any
    start: int
    end: int
    text: str
    meaning: str = ""  #: what was made of it; empty while nothing was
    denied: bool = False


@dataclass
class Reading:
    """A sentence while it is read: its items, and what is to be told about it."""

    text: str
    items: list[Item] = field(default_factory=list)
    ignored: list[Item] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sound: list[list[Item]] = field(default_factory=list)  #: sides and places that are said to be without a lesion

    def cover(self, first: Item, last: Item, tag: str, value: Any = None) -> Item:
        """Return one item that stands for all from `first` to `last`."""
        return Item(tag, value, first.start, last.end, self.text[first.start : last.end].strip())

    def ignore(self, first: Item, last: Item, why: str = "") -> None:
        """Tell that all from `first` to `last` is ignored, with a warning where there is a reason."""
        covered = self.cover(first, last, "ignored")
        self.ignored.append(covered)
        if why:
            self.warnings.append(f"'{covered.text}' {why}")


_BREAK = {".": "stop", ";": "stop", "。": "stop", "\n": "stop", "!": "stop", "?": "stop", ",": "comma", "，": "comma", "(": "paren", ")": "comma"}
_SIDES = ("left", "right")
BREAKS = ("stop", "comma", "paren", "and", "or", "with", "but", "except")  #: tags between what is said of different things


_NUMERAL = re.compile(r"[二两三四五六七八九十百千]")


def read(text: str) -> Reading:
    """Return the items of a sentence. `TextError` where a word of weight is misspelt or a number makes no sense."""
    reading, low, here = Reading(text), lexicon.plain(text), 0
    while here < len(low):
        here = _next(reading, low, here)
    for item in reading.items:
        if item.tag == "word" and (_NUMERAL.search(item.text) or any(c.isdigit() for c in item.text)):
            raise TextError(f"'{item.text}': the number is not understood; write it in digits with its unit")
    return reading


def _next(reading: Reading, low: str, here: int) -> int:
    text = reading.text

    def add(tag: str, value: Any, end: int) -> int:
        reading.items.append(Item(tag, value, here, end, text[here:end].strip(" -")))
        return end

    if low[here].isspace() and low[here] != "\n":
        return here + 1
    try:
        quantity = numbers.read(low, here)
    except ValueError as error:
        raise TextError(f"{error}; say it another way") from None
    phrase = lexicon.look_up(low, here)
    if phrase and phrase[0].tag in ("sex", "side") and phrase[1] - here == 1 and low[here].isascii() and text[here].islower():
        phrase = None  # F, M, L and R are abbreviations as capitals only
    if not phrase and (prefix := re.compile(r"(?<![a-z])non[\s-]?(?=[a-z0-9]{2})").match(low, here)):
        negated = lexicon.look_up(low, prefix.end())
        if negated and negated[0].tag in ("contrast", "plane", "agent", "refused"):
            add(negated[0].tag, negated[0].value, negated[1])
            reading.items[-1].denied = True
            return negated[1]
        return add("word", None, re.compile(r"[a-z0-9]*").match(low, prefix.end()).end())  # type: ignore[union-attr]
    if quantity and (not phrase or quantity.end >= phrase[1]):
        _check_quantity(text, low, here, quantity)
        if _no_lesions(low, quantity):
            return add("not", "of", quantity.end)
        return add("quantity", quantity, quantity.end)
    if phrase:
        meaning, end = phrase
        if meaning.tag == "side":
            _check_side(text, low, here, end)
        if meaning.tag == "join" and any(i.tag == "lesion" for i in _since_break(reading)):
            return add("comma", None, end)
        add(meaning.tag, meaning.value, end)
        if free := re.compile(r"[\s-]free(?! of)\b|-less\b").match(low, end):
            reading.items[-1].denied = meaning.tag in ("motion", "noise", "artefacts", "lesion")
            if reading.items[-1].denied:
                return free.end()
        return end
    if low[here] == "." and re.search(r"\b(?:approx|ca|max|diam|no|resp)$", low[:here]):
        return here + 1
    if low[here] in _BREAK:
        return add(_BREAK[low[here]], None, here + 1)
    if found := re.compile(r"[a-z][a-z0-9']*").match(low, here):
        return _unknown(reading, found.group(), here, found.end())
    if low[here].isdigit():
        raise TextError(f"'{text[max(here - 4, 0) : here + 6].strip()}': the number is not understood; write it with its unit")
    if not low[here].isalnum():
        return here + 1
    last = reading.items[-1] if reading.items else None
    if last and last.tag == "word" and last.end == here and not last.text[-1].isascii():
        last.end, last.text = here + 1, text[last.start : here + 1]
        return here + 1
    return add("word", None, here + 1)


def _no_lesions(low: str, quantity: numbers.Quantity) -> bool:
    """Tell whether a number is the 0 of '0 lesions', 'zero plaques' and '0个病灶', which denies them."""
    after = quantity.end + (low[quantity.end : quantity.end + 1] == " ")
    head = lexicon.look_up(low, after) if quantity.values == (0.0,) and quantity.unit in ("", "piece") else None
    return head is not None and head[0].tag in ("lesion", "wmh")


_PREPOSITIONS = "in at on by within into near through there for inside where when over behind under beside next beyond up down"


def _check_side(text: str, low: str, here: int, end: int) -> None:
    """Refuse 'right in the frontal lobe', where right is no side, and letters of an abbreviation such as L/S."""
    word, before, after = low[here:end], low[:here], low[end:]
    adverb = word in ("left", "right") and re.match(rf"\s+(?:{'|'.join(_PREPOSITIONS.split())})\b", after)
    if adverb and not re.search(r"(?:\b(?:the|its|his|her|their|on|to|in)|'s)\s+$", before):
        raise TextError(f"'{text[here:end + 12].strip()}': is '{text[here:end]}' a side? Say 'on the {word}', or leave it out")
    if word in ("l", "r") and (after[:1] == "/" or before[-1:] == "/"):
        raise TextError(f"'{text[max(here - 2, 0) : end + 2].strip()}' is not understood; write left or right")


def _check_quantity(text: str, low: str, here: int, quantity: numbers.Quantity) -> None:
    """Refuse numbers whose sign or unit is not understood: they may be sizes."""
    shown, after = text[here : quantity.end + 3].strip(), low[quantity.end :]
    if quantity.unit in ("", "piece", "times") and re.match(r"\s?\+(?!\s?(?:\d|a\b))|[\s-]plus (?=lesion|plaque|foc|spot)|[多余来几]", after):
        raise TextError(f"'{shown}' is no count that is understood; write 'at least' before the number")
    if re.search(r"(?:^|[\s(,])-$", low[:here]):
        raise TextError(f"'-{shown}': a number below zero has no meaning here")
    if (quantity.unit == "age" and re.match(r"\s?[fm]\b", after) and text[quantity.end :].strip()[:1].islower()) or (
        quantity.unit in ("", "piece") and re.match(r"[半一-鿿]|\s?(?!(?:and|or|to|x|of|in|at|for|is|l|r|ms|wm|bg|old|pet|ct|f|m)\b)[a-z]{1,3}\b", after)
        and not lexicon.look_up(low, quantity.end + (after[:1] == " "))
    ) or (quantity.unit == "mm" and after[:1] == "半"):  # fmt: skip
        raise TextError(f"'{shown}': the unit is not understood; write mm or cm")


def _since_break(reading: Reading) -> list[Item]:
    """Return the items after the last separator."""
    n = max((n for n, i in enumerate(reading.items) if i.tag in ("comma", "stop", "paren")), default=-1)
    return reading.items[n + 1 :]


def _unknown(reading: Reading, word: str, here: int, end: int) -> int:
    shown = reading.text[here:end]
    if word in ("l", "r"):
        raise TextError(f"'{shown}' may be a side; write left or right, or a capital {word.upper()}")
    close = lexicon.near(word)
    heavy = [w for w in close if lexicon.table().get(w, lexicon.Meaning("", "")).tag in ("not", "side", "except", "from", "unclear")]
    if any(w in _SIDES or len(w) >= 6 for w in heavy):
        raise TextError(f"'{shown}' may be {' or '.join(close)}; a word that decides on side or denial is not guessed")
    if len(close) == 1 and (found := lexicon.look_up(close[0], 0)) and found[1] == len(close[0]):
        reading.warnings.append(f"'{shown}' was read as '{close[0]}'")
        reading.items.append(Item(found[0].tag, found[0].value, here, end, shown))
    else:
        reading.items.append(Item("word", None, here, end, shown))
    return end
