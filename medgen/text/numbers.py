"""Numbers with their units, as they are written in English and Chinese: '8-12 mm', '½ cm', '1,2 cm', '十二毫米', '70 y/o'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["mm", "tesla", "age", "decade", "percent", "times", "volume", "piece", "other", ""]

WORDS = {
    word: value
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
} | {word: 20 + 10 * n for n, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])}
MANY = {"dozen": 12, "hundred": 100, "thousand": 1000}
FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75}
NUMERALS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}

_WORD = re.compile(r"(?<![a-z])(" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")(?:[\s-]+(one|two|three|four|five|six|seven|eight|nine))?(?![a-z])")
_DIGITS = re.compile(r"(?:(\d+)[\s-]+)?(\d+)\s*/\s*(\d+)(?![\d/])|(\d+)?\s?([½¼¾])|\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:[.,]\d+)?|\.\d+")
_CHINESE = re.compile(r"[零〇一二两三四五六七八九十百]+(?:点[零〇一二三四五六七八九]+)?|半")
_TENS = re.compile(r"(?:([一二两三四五六七八九])百零?)?(?:([一二三四五六七八九])?(十))?([零〇一二两三四五六七八九])?")

#: unit, factor to mm, years or tesla, and how it is written after a number (the text is lower case)
_PATTERNS: tuple[tuple[Unit, float, str], ...] = (
    ("volume", 1, r"[\s-]*(?:mls?\b|cc\b|cm3\b|cm³|[mc]m[23]\b|[mc]m[²³]|cubic\b|square\b|millilit|毫升|立方|平方)"),
    ("other", 1, r"[\s-]*(?:[mc]m|毫米|厘米)\s*(?:/\s*(?=[a-z年月])(?![mc]m)|per\b|每)(?:\s*(?:year|month|年|月))?|(?:st|nd|rd|th)\b"),
    ("mm", 1, r"[\s-]*(?:mms?(?![a-z])|millimet(?:er|re)s?\b|毫米|公厘|㎜)"),
    ("mm", 10, r"[\s-]*(?:an?\s+)?(?:cms?(?![a-z])|centimet(?:er|re)s?\b|厘米|公分|㎝)"),
    ("mm", 0.001, r"[\s-]*(?:[uµμ]m(?![a-z])|microns?\b|micromet(?:er|re)s?\b|微米)"),
    ("mm", 25.4, r"[\s-]*(?:inch(?:es)?\b|英寸)"),
    ("age", 1, r"[\s-]*(?:years?|yrs?|y)[\s-]*(?:old|of age)\b|[\s-]*y\.?\s?/?\s?o\b\.?|[\s-]*y(?![a-z])|\s*周?岁"),
    ("age", 1 / 12, r"[\s-]*(?:months?|mo)[\s-]*(?:old|of age)\b|\s*个月(?=大|龄|的?[男女]?婴|的?患儿)"),
    ("age", 1 / 52, r"[\s-]*(?:weeks?|wk)[\s-]*old\b"),
    ("age", 1, r"\s?(?=[fm]\b)"),  # 72F
    ("decade", 1, r"[\s-]*(?:something\b|odd\b)|'?s(?![a-z])|\s*[多余来]岁"),
    ("tesla", 1, r"[\s-]*(?:t(?![a-z0-9])|tesla\b|特斯拉)"),
    ("percent", 1, r"\s*(?:%|percent\b|per cent\b)"),
    ("times", 1, r"[\s-]*(?:times\b|fold\b|[x×](?![a-z0-9]|\s*\d)|倍)"),
    ("other", 1, (r"[\s-]*(?:m?s(?:ec)?(?![a-z]|[\s-]+(?:lesion|plaque|foc|patient))|seconds?\b|min(?:ute)?s?\b|k?hz\b|kg\b|degrees?\b|°|hours?\b|days?\b|weeks?\b|months?\b"
                 r"|years?\b|yrs?\b|毫秒|秒|分钟|千克|公斤|度|小时|天|周|个月|年)")),
    ("piece", 1, r"\s*[个枚处粒颗块](?!月)"),
)  # fmt: skip
_UNITS = [(unit, factor, re.compile(pattern)) for unit, factor, pattern in _PATTERNS]
_TO = re.compile(r"\s*(?:-|–|—|~|〜|to\b|到|至)\s*")
_BY = re.compile(r"\s*(?:x|×|\*|by\b|乘)\s*")


@dataclass(frozen=True)
class Quantity:
    """Values in mm, years, tesla or as they stand: one, the two ends of a range, or the two or three sides of a box."""

    values: tuple[float, ...]
    unit: Unit
    form: Literal["one", "range", "box"]
    end: int  #: where it ends in the text
    in_words: bool = False


def read(text: str, start: int) -> Quantity | None:
    """Return the quantity that begins at `start` of a text in lower case, or None. ValueError where it makes no sense."""
    between = re.compile(r"(?:between|from)\s+").match(text, start)
    if re.compile(r"(?<=[a-z])\d|(?<=\d[./])\d").match(text, start):  # of a name, or of a number that was not understood
        return None
    first = _number(text, between.end() if between else start)
    if first is None:
        return None
    (value, _, in_words), (unit, factor, unit_end) = first, _unit(text, first[1])
    values, form, open_unit = [value * factor], "one", not unit
    for joiner, name in ((re.compile(r"\s+(?:and|to)\s+") if between else _TO, "range"), (_BY, "box")):
        while (form == "one" or (form == name == "box")) and (joined := joiner.match(text, unit_end)):
            following = _number(text, joined.end())
            if following is None:
                break
            unit2, factor2, unit2_end = _unit(text, following[1])
            if name == "box" and unit not in ("", "mm") or unit and unit2 and unit != unit2:
                break
            values.append(following[0] * factor2)
            if open_unit and unit2:  # '8-12 mm': the unit of the last is that of all
                values = [v * factor2 for v in values[:-1]] + values[-1:]
            unit, open_unit, unit_end, form = unit2 or unit, open_unit and not unit2, unit2_end, name
    if between and form != "range":
        return None
    chinese = text[start] in NUMERALS or text[start] in "十百半"
    if chinese and not unit:  # 一 and 十 are in many other words
        return None
    if form == "range" and values[0] > values[1]:
        raise ValueError(f"'{text[start:unit_end].strip()}' runs backwards")
    return Quantity(tuple(round(v, 6) for v in values), unit, form, unit_end, in_words)  # type: ignore[arg-type]


def _number(text: str, start: int) -> tuple[float, int, bool] | None:
    """Return value, end and whether it is in words; 'two and a half' before a unit too."""
    found = _many(text, start) or _plain_number(text, start)
    half = re.compile(r"[\s-]+and[\s-]+a[\s-]+half(?=[\s-]*(?:c|m|inch))").match(text, found[1]) if found else None
    return (found[0] + 0.5, half.end(), True) if found and half else found


def _many(text: str, start: int) -> tuple[float, int, bool] | None:
    """Return 'a dozen', 'half a dozen', 'two hundred and five'."""
    lead = re.compile(r"(?<![a-z])(?:half(?:[\s-]+an?)?|an?[\s-]+half|an?|(?=dozen|hundred|thousand))(?![a-z]*-?free)").match(text, start)
    value, here = (0.5 if "half" in lead.group() else 1, lead.end()) if lead else (_plain_number(text, start) or (0, start))[:2]
    unit = re.compile(r"[\s-]*(dozen|hundred|thousand)(?![a-z])").match(text, here) if value else None
    if unit is None:
        return None
    value, here = value * MANY[unit[1]], unit.end()
    more = re.compile(r"(?:[\s-]+and)?[\s-]+").match(text, here) if unit[1] != "dozen" else None
    rest = _WORD.match(text, more.end()) if more else None
    if rest and (ones := _plain_number(text, rest.start())):
        value, here = value + ones[0], ones[1]
    return float(value), here, True


def _plain_number(text: str, start: int) -> tuple[float, int, bool] | None:
    if found := _DIGITS.match(text, start):
        before, over, under, whole, part = found.groups()
        if under is not None:
            return (int(before or 0) + int(over) / int(under), found.end(), False) if int(under) else None
        if part is not None:
            return int(whole or 0) + FRACTIONS[part], found.end(), False
        digits = found.group()
        grouped = re.fullmatch(r"\d{1,3}(?:,\d{3})+", digits)
        return float(digits.replace(",", "" if grouped else ".")), found.end(), False
    if found := _WORD.match(text, start):
        tens, ones = found.groups()
        if ones and WORDS[tens] < 20:
            return float(WORDS[tens]), found.end(1), True
        return float(WORDS[tens] + (WORDS[ones] if ones else 0)), found.end(), True
    if (found := re.compile(r"half(?=[\s-]+(?:an?\s+)?(?:c|centi|milli)m|[\s-]+(?:an?\s+)?(?:centi|inch))").match(text, start)):
        return 0.5, found.end(), True
    if found := _CHINESE.match(text, start):
        return _chinese(found.group()), found.end(), True
    return None


def _chinese(numeral: str) -> float:
    if numeral == "半":
        return 0.5
    whole, _, decimals = numeral.partition("点")
    found = _TENS.fullmatch(whole)
    if not found:
        raise ValueError(f"'{numeral}' is no number that is understood; write it in digits")
    hundreds, tens, ten, ones = found.groups()
    value = 100 * NUMERALS.get(hundreds, 0) + (10 * NUMERALS.get(tens, 1) if ten else 0) + NUMERALS.get(ones, 0)
    return float(f"{value}.{''.join(str(NUMERALS[d]) for d in decimals) or 0}")


def _unit(text: str, start: int) -> tuple[Unit, float, int]:
    """Return unit, factor and end of the unit that follows a number; an empty unit where there is none."""
    for unit, factor, pattern in _UNITS:
        if found := pattern.match(text, start):
            return unit, factor, found.end()
    return "", 1, start
