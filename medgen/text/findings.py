"""Ventricles, atrophy, midline shift, artefacts, slices and voxels of a sentence."""

from __future__ import annotations

from functools import partial
from typing import Any

from medgen.text.binding import Group
from medgen.text.items import Item, Reading, TextError
from medgen.text.spec import Lesion, Range

_VENTRICLES = {"none": 1.0, "mild": 1.5, "moderate": 2.0, "severe": 3.0}  #: times the normal volume, by grade of enlargement
_SMALL = 0.6
_SHIFT = {"mild": Range(low=1, high=5), "moderate": Range(low=5, high=10), "severe": Range(low=10, high=20)}


def findings(groups: list[Group], reading: Reading, lesions: list[Lesion]) -> dict[str, Any]:
    """Return fields and values of a `ScanSpec`: all but lesions, subject and sequence. `TextError` where they contradict.

    A midline shift without a direction goes away from the lesions, where these are all on one side.
    """
    away = {"left": "right", "right": "left"}.get("".join({lesion.side or "?" for lesion in lesions}))
    values: dict[str, Any] = {}
    for tag, field, read in (
        ("ventricles", "ventricles", _ventricles), ("atrophy", "atrophy", _atrophy), ("shift", "midline_shift", partial(_shift, away=away)),
    ):  # fmt: skip
        named = [g for g in groups if g.head.tag == tag]
        told = [value for value in (read(g, reading) for g in named) if value is not None]
        if any(value != told[0] for value in told[1:]):
            raise TextError(f"'{named[0].head.text}' and '{named[-1].head.text}' say different things of one finding; say one")
        if told:
            values[field] = told[0]
    return values | _artefacts(groups, reading) | _geometry(groups, reading)


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
        if group.all("grade") and large:
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


def _shift(group: Group, reading: Reading, away: str | None) -> dict[str, Any] | None:
    told = [i for i in group.all("relative") if i.value == "away"]
    if away is not None and told:
        group.said = [i for i in group.said if i not in told]
        for item in told:
            item.meaning = f"side: {away}"
    side, sizes = _side(group), [i.value for i in group.all("size")]
    if away is not None and told and side not in (None, away):
        raise TextError(f"'{group.head.text}' is said to be {side} and '{told[0].text}'; say one")
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
    if side is None and away is not None:
        side, group.head.meaning = away, f"midline shift to the {away}, away from the lesion"
    return {"toward": side, "mm": sizes[0] if sizes else _SHIFT.get(grade)}


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
