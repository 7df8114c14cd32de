"""Who is scanned, and by what sequence."""

from __future__ import annotations

from typing import Any

from medgen.text.items import Item, TextError
from medgen.text.spec import Range


def _one(items: list[Item], what: str) -> Any:
    """Return the one value that items have, or None; a denied item says nothing."""
    for item in items:
        item.meaning = f"not {item.value}" if item.denied else f"{what}: {item.value}"
    said = [i for i in items if not i.denied]
    for item in said[1:]:
        if item.value != said[0].value:
            raise TextError(f"'{said[0].text}' and '{item.text}' contradict each other; say one {what}")
    if said and any(i.denied and i.value == said[0].value for i in items):
        raise TextError(f"'{said[0].text}' is said and denied; say one {what}")
    return said[0].value if said else None


def subject(alone: list[Item]) -> dict[str, Any]:
    values: dict[str, Any] = {"sex": _one([i for i in alone if i.tag == "sex"], "sex")}
    age = _one([i for i in alone if i.tag == "age"], "age")
    bands = [i for i in alone if i.tag == "band"]
    for item in bands:
        item.meaning = f"age: {item.value}"
        if age is not None and not _near(age, item.value):
            raise TextError(f"'{item.text}' does not fit the age of {age}; say one")
    narrow = sorted(bands, key=lambda i: i.value.high - i.value.low)
    for item in narrow[1:]:
        if not (item.value.low <= narrow[0].value.high and narrow[0].value.low <= item.value.high):
            raise TextError(f"'{narrow[0].text}' and '{item.text}' contradict each other; say one age")
    values["age_years"] = age if age is not None else narrow[0].value if narrow else None
    return values


def _near(age: Range, band: Range) -> bool:
    """Tell whether an age fits a word for it; words are loose by ten years, for children by three."""
    slack = 10 if (band.high or 0) > 18 else 3
    low, high = (band.low or 0) - slack, (band.high or 0) + slack
    return (age.low is None or age.low <= high) and (age.high is None or age.high >= low)


def sequence(alone: list[Item]) -> dict[str, Any]:
    values: dict[str, Any] = {"plane": _one([i for i in alone if i.tag == "plane"], "plane")}
    fields = [i for i in alone if i.tag == "field"]
    strength = _one(fields, "field strength in tesla")
    if strength is not None and strength.low != strength.high:
        raise TextError(f"'{fields[0].text}': a range of field strengths is not supported; say one")
    values["field_t"] = strength.low if strength is not None else None
    contrasts = [i for i in alone if i.tag == "contrast"]
    agents = [i for i in alone if i.tag == "agent"]
    for item in agents:
        if item.denied:
            item.value, item.denied = "no" if item.value == "yes" else "yes", False
    if any(i.value == "T1c" for i in contrasts):  # 'T1c, T1 after gadolinium'
        for item in contrasts:
            item.value = "T1c" if item.value == "T1" and not item.denied else item.value
    contrast = _one(contrasts, "contrast")
    agent = _one(agents, "contrast agent")
    if agent == "yes" and contrast in ("T2", "FLAIR"):
        raise TextError(f"{contrast} after a contrast agent is not supported; T1 is")
    if agent == "no" and contrast == "T1c":
        raise TextError("T1 after a contrast agent is said and denied; say one")
    values["contrast"] = "T1c" if agent == "yes" else contrast
    return values
