"""A sentence, English or Chinese, to a `ScanSpec`: by rules alone, so that the same words always mean the same scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from medgen.text.clauses import split
from medgen.text.groups import Group, group
from medgen.text.items import Item, Reading, TextError, read
from medgen.text.lesions import lesions
from medgen.text.settle import settle
from medgen.text.spec import Range, ScanSpec

_VENTRICLES = {"none": 1.0, "mild": 1.5, "moderate": 2.0, "severe": 3.0}  #: times the normal volume, by grade of enlargement
_SMALL = 0.6
_SHIFT = {"mild": Range(low=1, high=5), "moderate": Range(low=5, high=10), "severe": Range(low=10, high=20)}
_WEIGHTY = ("side", "from", "place", "size", "box", "scale", "number", "relative", "vague", "far", "radius", "times", "percent")


@dataclass(frozen=True)
class Parsed:
    """What a sentence asks for, and how it was understood.

    Attributes:
        spec: the scan.
        understood: pairs of words of the sentence and what they were taken to mean, in the order of the text.
        ignored: the words that changed nothing.
        warnings: what was read in a way that ought to be looked at.
    """

    spec: ScanSpec
    understood: list[tuple[str, str]]
    ignored: list[str]
    warnings: list[str]


def parse(text: str) -> Parsed:
    """Return what a sentence asks for. `TextError` where it contradicts itself or is not understood in a side or a size."""
    if len(text) > 2000:
        raise TextError(f"a text of {len(text)} characters is too long; 2000 are read")
    reading = read(text)
    settle(reading)
    for item in reading.items:
        if item.tag == "vague":
            raise TextError(f"'{item.text}' is no size that is understood; write a diameter as a number with mm or cm")
    everything = reading.items
    segments = split(reading.items)
    for item in everything:
        if item.tag == "refused":
            if not item.denied:
                raise TextError(f"'{item.text}': {item.value} is not supported; T1, T2, FLAIR and T1 after contrast are, with "
                                "lesions, ventricles, atrophy, midline shift and artefacts")  # fmt: skip
            item.meaning = f"denied: {item.value}"
    groups, alone = group(segments, reading)
    values: dict[str, Any] = {"lesions": lesions(groups, reading)}
    for tag in ("ventricles", "atrophy", "shift"):
        chosen = [g for g in groups if g.head.tag == tag]
        found = [_FINDINGS[tag](g, reading) for g in chosen]
        told = [f for f in found if f is not None]
        if any(f != told[0] for f in told[1:]):
            told = [_only(told, chosen, reading)]
        if told:
            values["midline_shift" if tag == "shift" else tag] = told[0]
    values |= _artefacts(groups, reading) | _geometry(groups, reading) | _subject(alone) | _sequence(alone)
    try:
        spec = ScanSpec.model_validate(values)
    except ValidationError as error:
        raise TextError(reason(error)) from None
    return _told(spec, reading, everything, groups)


def reason(error: ValueError) -> str:
    """Return a validation error in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"


def _told(spec: ScanSpec, reading: Reading, everything: list[Item], groups: list[Group]) -> Parsed:
    heads = [g.head for g in groups]
    said = [i for g in groups for i in g.said if i.text]
    items = list({id(i): i for i in (*everything, *heads, *said)}.values())
    for item in items:
        unused = not item.meaning and item.tag in _WEIGHTY and not any(
            o.meaning and o.start <= item.start and item.end <= o.end for o in items
        )  # fmt: skip
        if unused and not any(g.head.denied and item in g.said for g in groups):
            raise TextError(f"'{item.text}' of what? It may bear on a side or a size, and is not understood here")
    understood = sorted(((i.start, i.end, i.text, i.meaning) for i in items if i.meaning and i.text), key=lambda t: t[:2])
    silent = ("and", "or", "with", "but", "comma", "paren", "stop", "not", "except", "each", "respectively", "isa", "all", "count", "join")
    loose = [i for i in items if not i.meaning and i.tag not in silent and not any(s <= i.start and i.end <= e for s, e, *_ in understood)]
    ignored = sorted({(i.start, i.text) for i in (*reading.ignored, *loose)})
    return Parsed(spec, [(t, m) for _, _, t, m in understood], [t for _, t in ignored], reading.warnings)


def _grade(group: Group, default: str = "moderate") -> str:
    scales = [] if group.head.tag == "ventricles" else group.all("scale")
    for item in scales:
        item.meaning = item.value = "severe" if float(item.value.split()[0]) >= 20 else "mild" if float(item.value.split()[0]) < 10 else "moderate"
    grades = list(dict.fromkeys(i.value for i in (*group.all("grade"), *scales)))
    if len(grades) > 1:
        raise TextError(f"'{group.head.text}' is said to be {grades[0]} and {grades[1]}; say one")
    if grades and group.head.denied:
        raise TextError(f"'no {grades[0]} {group.head.text}' leaves open how much there is; say none, mild, moderate or severe")
    for item in group.all("grade"):
        item.meaning = f"grade: {item.value}"
    return "none" if group.head.denied else grades[0] if grades else default


def _side(group: Group) -> str | None:
    sides = list(dict.fromkeys(i.value.split()[-1] for i in group.all("side", "from")))
    if group.all("relative") or (group.all("or") and not group.head.denied):
        raise TextError(f"the side of '{group.head.text}' is left open; say left or right")
    for item in group.all("side", "from"):
        item.meaning = f"side: {item.value.split()[-1]}"
    if set(sides) == {"left", "right"} and group.all("and"):
        return "bilateral"
    if len(sides) > 1:
        raise TextError(f"'{group.head.text}' is said to be {sides[0]} and {sides[1]}; say one")
    return sides[0] if sides else None


def _only(told: list[Any], groups: list[Group], reading: Reading) -> Any:
    """Refuse two statements on one thing, unless one of them only denies it elsewhere."""
    raise TextError(f"'{groups[0].head.text}' and '{groups[-1].head.text}' say different things of one finding; say one")


def _ventricles(group: Group, reading: Reading) -> dict[str, Any] | None:
    side = _side(group)
    size_words = group.all("scale")
    large = group.all("enlarged") + [i for i in size_words if float(i.value.split()[0]) >= 20] + (
        [group.head] if group.head.value == "enlarged" else []
    )  # fmt: skip
    small = group.all("slit") + [i for i in size_words if float(i.value.split()[1]) <= 10]
    normal, times, percent = group.all("normal"), group.all("times"), group.all("percent")
    denied = group.head.denied or any(i.denied for i in (*large, *small, *normal))
    if denied and (times or percent or normal or small and large):
        raise TextError(f"what is denied of '{group.head.text}' is not clear; say normal, small or enlarged")
    numbers = [_number(i) for i in times] + [_percent(i, reading) for i in percent]
    if len(numbers) > 1 or (large and small) or (normal and not numbers and (large or small)):
        raise TextError(f"'{group.head.text}' are given two sizes; say one")
    if numbers:
        factor = numbers[0]
        if (large and factor < 1) or (small and factor > 1):
            raise TextError(f"'{group.head.text}': {factor:g} times the normal size contradicts the words; say one")
    elif denied or normal:
        factor = 1.0
        if any(i.denied for i in large) or (group.head.denied and large):
            if group.all("grade"):
                raise TextError(f"'not {group.all('grade')[0].text}' leaves open how large '{group.head.text}' are; say how large")
    elif large:
        factor = _VENTRICLES[_grade(group)]
    elif small:
        factor = _SMALL
    elif group.all("grade"):
        factor = _VENTRICLES[_grade(group)]
    elif side is not None or group.said:
        raise TextError(f"'{group.head.text}': say how large they are, or leave them out")
    else:
        reading.ignored.append(group.head)
        return None
    group.head.meaning = f"ventricles: {factor:g} times normal"
    for item in (*large, *small, *normal, *times, *percent, *size_words):
        item.meaning = item.meaning or "size of the ventricles"
    return {"factor": factor, "side": side}


def _number(item: Item) -> float:
    if isinstance(item.value, Range):
        if item.value.low != item.value.high or item.value.low is None:
            raise TextError(f"'{item.text}': a range of factors is not supported; say one")
        return item.value.low
    return float(item.value)


def _percent(item: Item, reading: Reading) -> float:
    value = _number(item)
    before = reading.text[: item.start].rstrip().lower()
    return value / 100 if before.endswith(("to", "at", "至", "到", "为")) or value > 100 else 1 + value / 100


def _atrophy(group: Group, reading: Reading) -> dict[str, Any] | None:
    places = list(dict.fromkeys(i.value for i in group.all("place")))
    if len(places) > 1:
        raise TextError(f"'{group.head.text}' of {' and '.join(places)}: one place of atrophy is supported; say one, or none for all")
    side, grade = _side(group), _grade(group)
    for item in group.all("place"):
        item.meaning = f"place: {item.value}"
    group.head.meaning = f"atrophy: {grade}"
    if group.head.denied and (side or places):
        return None  # denied at one place only: nothing is said of the rest
    return {"grade": grade, "side": side, "place": places[0] if places else None}


def _shift(group: Group, reading: Reading) -> dict[str, Any] | None:
    side, sizes = _side(group), [i.value for i in group.all("size")]
    for item in group.all("size"):
        item.meaning = f"shift: {item.value} mm"
    if len(set(map(str, sizes))) > 1:
        raise TextError(f"'{group.head.text}' has two sizes, {sizes[0]} and {sizes[1]} mm; say one")
    if side == "bilateral":
        raise TextError(f"'{group.head.text}' goes to one side; say left or right")
    if group.head.denied:
        if sizes or side:
            raise TextError(f"'{group.head.text}' is denied with a side or a size; say whether there is one")
        group.head.meaning = "no midline shift"
        return {"mm": 0}
    grade = _grade(group, "")
    group.head.meaning = "midline shift"
    return {"toward": side, "mm": sizes[0] if sizes else _SHIFT.get(grade)}


_FINDINGS: dict[str, Callable[[Group, Reading], dict[str, Any] | None]] = {
    "ventricles": _ventricles, "atrophy": _atrophy, "shift": _shift,
}  # fmt: skip


def _artefacts(groups: list[Group], reading: Reading) -> dict[str, str]:
    """Return the grades of motion, noise and bias; 'mild motion and noise' are both mild."""
    grades: dict[str, str] = {}
    mine = [g for g in groups if g.head.tag in ("motion", "noise", "bias")]
    for n, group in enumerate(mine):
        tag = group.head.tag
        before, after = mine[n - 1] if n else None, mine[n + 1] if n + 1 < len(mine) else None
        grade = _grade(group, "")
        if not grade and before is not None and group.said and group.said[0].tag == "and" and before.sentence == group.sentence:
            grade = _grade(before, "")
            grade = "" if grade == "none" else grade
        if not grade and after is not None and after.all("all") and after.said[0].tag == "and":
            grade = _grade(after, "")
        for item in group.all("percent"):
            reading.warnings.append(f"'{item.text}': artefacts are graded, not measured; ignored")
            item.meaning = "ignored"
        grade = grade or "moderate"
        if grades.setdefault(tag, grade) != grade:
            raise TextError(f"'{group.head.text}' is said to be {grades[tag]} and {grade}; say one")
        group.head.meaning = f"{tag}: {grade}"
    return grades


def _geometry(groups: list[Group], reading: Reading) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in groups:
        tag, sizes = group.head.tag, group.all("size", "box")
        if tag == "other":
            reading.ignored += [group.head, *sizes]
            for item in (*sizes, *group.all("number")):
                item.meaning = "ignored"
                reading.warnings.append(f"'{group.head.text} {item.text}' is not supported; ignored")
        if tag not in ("slice", "voxel"):
            continue
        for item in sizes:
            value: Any = item.value
            if isinstance(value, Range):
                if value.low != value.high:
                    raise TextError(f"'{item.text}': slices and voxels have one size, not a range; say one")
                value = value.low if tag == "slice" else [value.low] * 3
            elif len(value) != 3 or tag == "slice":
                raise TextError(f"'{item.text}': voxels have three sides, slices one; write them all")
            key = f"{tag}_mm"
            if found.setdefault(key, value) != value:
                raise TextError(f"'{group.head.text}' are given two sizes; say one")
            item.meaning = f"{'slice thickness' if tag == 'slice' else 'voxels'}: {item.text}"
            group.head.meaning = item.meaning
    return found


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


def _subject(alone: list[Item]) -> dict[str, Any]:
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


def _sequence(alone: list[Item]) -> dict[str, Any]:
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
