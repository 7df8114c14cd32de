"""Findings over the segments of a sentence: what was said before or after a comma finds its finding, or is refused."""

from __future__ import annotations

import re

from medgen.text.binding import ATTRIBUTES, SUITS, Group, bind, check_sides, shown
from medgen.text.clauses import Segment
from medgen.text.compare import one_of_several
from medgen.text.heads import merge
from medgen.text.items import Item, Reading, TextError
from medgen.text.sound import clause, of_lesions, sound_half
from medgen.text.spec import Range

_CARRY_WEIGHT = ("side", "place", "from", "size", "box", "scale", "count", "number", "relative", "times", "percent")


def group(segments: list[Segment], reading: Reading) -> tuple[list[Group], list[Item]]:
    """Return the groups of a text, and the items that stand for themselves (plane, contrast, age ...)."""
    groups: list[Group] = []
    alone: list[Item] = []
    waiting: list[Item] = []  # attributes that came before their head
    segments = _parted(segments)
    for n, segment in enumerate(segments):
        if waiting and segment.sentence != segments[n - 1].sentence:
            raise _of_what(waiting, reading)
        check_sides(segment, reading)
        items = merge(segment.items, reading, bool(groups))
        alone += [i for i in items if i.tag not in SUITS and i.tag not in ATTRIBUTES and i.tag not in ("and", "or", "all")]
        items = [i for i in items if i.tag in SUITS or i.tag in ATTRIBUTES or i.tag in ("and", "or", "all")]
        made = bind(items, segment, reading)
        if made:
            _check_before(made[0], groups, reading)
            made = _appositions(made, groups, segment, reading)
            if waiting and made:
                taker = next((g for g in made[:1] if _takes(g, waiting)), None)
                if taker is None:
                    raise _of_what(waiting, reading)
                taker.said = [*waiting, Item("comma", None, 0, 0, ""), *taker.said]
                waiting = []
            groups += made
            continue
        items = [i for i in items if i.tag != "count" or i.text.lower() not in ("a", "an")]
        if any(i.tag in ("plane", "contrast", "sex", "age", "agent") for i in segment.items):  # 'one axial scan'
            items = [i for i in items if not (i.tag in ("count", "number") and _is_one(i))]
        if not_there := [i for i in segment.items if i.tag in ("refused", "finding") and i.denied]:
            for item in items:  # 'no haemorrhage on the left'
                item.meaning = f"of '{not_there[0].text}', which is denied"
            continue
        heavy = [i for i in items if i.tag in ATTRIBUTES and not i.denied]
        if not heavy:
            for item in items:
                if item.denied:
                    _check_denied(item, groups, reading)
            if any(i.denied and i.tag == "side" for i in items) and of_lesions(segments, n, groups):
                there = groups[-1] if groups else None
                half = there is not None and there.all("side") and not there.all("place") and any(i.tag == "place" for i in items)
                if half and re.match(r"\s*(?:and |but )?(?:not|rather|instead)\b|[并而]?[不非]", clause(reading, items)):
                    raise TextError(f"'{shown(items, reading)}': is only the side denied, or the place too? Say in which place the lesion is")
                reading.sound.append([i for i in items if i.tag in ("side", "place", "and", "or")])
            continue
        normal = next((i for i in items if i.tag == "normal"), None)
        if normal is not None and all(i.tag in ("normal", "side", "place") for i in heavy):
            last = groups[-1] if groups and groups[-1].sentence == segment.sentence else None
            if last is not None and last.head.tag == "ventricles" and len(heavy) == 1 and not last.all("enlarged", "slit", "normal", "times"):
                last.said.append(normal)
                continue
            if normal.denied:
                raise TextError(f"'not {normal.text}': say what there is")
            if sound_half(groups, heavy, reading):
                continue
            head = Item("lesion", "unspecified mass", normal.start, normal.end, normal.text, denied=True)
            groups.append(Group(head, segment.sentence, [i for i in items if i is not normal]))
            continue
        last = groups[-1] if groups and groups[-1].sentence == segment.sentence and not waiting else None
        told = last.all("number", "count") if last is not None else []
        if any(i.tag == "scale" for i in heavy) and any(i.tag == "size" for i in heavy) and any(i.value.high != 1 for i in told):
            raise one_of_several(shown(heavy, reading))  # 'two lesions, the large one 12 mm'
        if last is not None and (_another(last, heavy) or _one_of(groups, segment, heavy)):
            head = Item("lesion", "pointed mass", heavy[0].start, heavy[0].start, "")
            groups.append(Group(head, segment.sentence, items))
            continue
        if last is not None and _takes(last, heavy):
            following = _next_head(segments, n)
            rivals = following is not None and segment.opened_by != "paren" and heavy[0].tag in _CARRY_WEIGHT
            rivals = rivals and all(i.tag in SUITS.get(following or "", ()) for i in heavy)
            if rivals and not _has_own(segments[n + 1 :], heavy):
                raise TextError(f"'{shown(heavy, reading)}' may belong to what is before or after it; join it to one by words")
            _say_of_all(last, groups, items, reading)
        elif last is not None and last.head.denied and last.head.tag == "lesion" and heavy[0].tag in _CARRY_WEIGHT:
            raise TextError(f"'{shown(heavy, reading)}' after '{last.head.text}', which is denied, is not understood; say of what it is")
        elif all(i.tag in ("grade", "each", "respectively", "enlarged", "slit") for i in heavy):
            waiting += items
        else:
            waiting += [Item("comma", None, 0, 0, ""), *items] if waiting else items
    if any(i.tag in _CARRY_WEIGHT for i in waiting):
        raise _of_what(waiting, reading)
    alone += waiting
    return groups, alone


def _check_before(first: Group, groups: list[Group], reading: Reading) -> None:
    """Refuse ', 5 mm and no tumour' after a lesion without a size: it may belong to that one."""
    n = next((n for n, i in enumerate(first.said) if i.tag == "and"), 0)
    last = groups[-1] if groups and groups[-1].sentence == first.sentence else None
    if not n or last is None or last.head.tag != "lesion" or last.head.denied:
        return
    before = [i for i in first.said[:n] if i.start < first.head.start]
    for tags in (("side",), ("place",), ("size", "box", "scale")):
        if any(i.tag in tags for i in before) and not last.all(*tags):
            raise TextError(f"'{shown(before, reading)}' may belong to '{last.head.text}' or '{first.head.text}'; say it of each")


def _parted(segments: list[Segment]) -> list[Segment]:
    """Part ', 14 mm and enlarged ventricles' at the 'and' where what is before it cannot be said of what is after it."""
    out: list[Segment] = []
    for segment in segments:
        items = segment.items
        cut = next((n for n, i in enumerate(items) if i.tag == "and"), 0)
        head = next((n for n, i in enumerate(items) if i.tag in SUITS), 0)
        before = [i for i in items[:cut] if i.tag in ATTRIBUTES]
        if (last := _denied_last(items)) is not None:
            out.append(Segment(segment.opened_by, segment.sentence, items[:last]))
            out.append(Segment("comma", segment.sentence, items[last + 1 :]))
            continue
        other = any(i.tag in ("refused", "finding") and i.denied for i in items[:cut])
        if before and cut < head and (other or not all(i.tag in SUITS[items[head].tag] for i in before)):
            out.append(Segment(segment.opened_by, segment.sentence, items[:cut]))
            segment = Segment("comma", segment.sentence, items[cut + 1 :])
        out.append(segment)
    return out


def _denied_last(items: list[Item]) -> int | None:
    """Return where the 'and' stands before something with a side that is denied and no finding: '... and no haemorrhage on the left'."""
    n = max((n for n, i in enumerate(items) if i.tag in ("and", "or")), default=0)
    tags = {i.tag for i in items[n + 1 :]}
    found = any(i.tag in ("refused", "finding") and i.denied for i in items[n + 1 :]) and not tags & {*SUITS, "wmh", "again", "midline"}
    return n if n and found and tags & {"side", "place"} else None


def _is_one(item: Item) -> bool:
    item.meaning = "one scan" if item.value == Range(low=1, high=1) else ""
    return bool(item.meaning)


def _say_of_all(last: Group, groups: list[Group], items: list[Item], reading: Reading) -> None:
    """Add what was said after a comma to the last group, or with 'all' to all lesions of the sentence."""
    peers = [g for g in groups if g.sentence == last.sentence and g.head.tag == "lesion" == last.head.tag and not g.head.denied]
    sizes = [i for i in items if i.tag in ("size", "box", "scale")]
    open_peers = [g for g in peers if not g.all("size", "box", "scale")]
    takers = [last]
    if sizes and len(open_peers) > 1 and last in open_peers:
        if not any(i.tag in ("all", "each") for i in items):
            raise TextError(f"'{shown(items, reading)}' may belong to {len(open_peers)} lesions; say it of each, or say 'all'")
        takers = open_peers
    listed = "list" if any(i.tag == "and" for i in items) else None  # 'frontal, temporal and parietal'
    for group in takers:
        group.said += [Item("comma", listed, 0, 0, ""), *items]


def _of_what(items: list[Item], reading: Reading) -> TextError:
    return TextError(f"'{shown(items, reading)}' of what? Name the lesion, ventricles, shift, slices or voxels that it belongs to")


def _takes(group: Group, items: list[Item]) -> bool:
    """Tell whether all of some attributes can be said of a group, which has none of their kind yet."""
    suits = SUITS[group.head.tag]
    if group.head.tag == "oedema":
        suits = ("grade",)
    return not group.head.denied and all(
        i.tag in suits and (not group.all(i.tag) or i.tag not in ("grade", "percent", "times"))
        for i in items
        if i.tag in ATTRIBUTES and not i.denied
    )


def _another(last: Group, items: list[Item]) -> bool:
    """Tell whether a place with a size is another one of several lesions: 'lesions: left frontal 5 mm, right frontal 8 mm'."""
    spot, size = ("side", "place"), ("size", "box")
    full = all(any(i.tag in tags for i in some) for some in (last.said, items) for tags in (spot, size))
    several = last.head.tag == "lesion" and not last.head.denied and not last.head.value.endswith("one")
    return full and several and not last.all("number", "count") and all(i.tag in (*spot, *size) for i in items)


def _one_of(groups: list[Group], segment: Segment, items: list[Item]) -> bool:
    """Tell whether a place with a size is one of the lesions counted before: 'two lesions: left frontal 5 mm, ...'."""
    named = [g for g in groups if g.sentence == segment.sentence and g.head.tag == "lesion" and not g.head.value.startswith("pointed")]
    rest = groups[groups.index(named[-1]) + 1 :] if named else []
    full = any(i.tag in ("side", "place") for i in items) and any(i.tag in ("size", "box") for i in items)
    if not full or not named or named[-1].head.denied or any(not g.head.value.startswith("pointed") for g in rest):
        return False
    bare = not any(i.tag in ("side", "place", "size", "box") for i in named[-1].said)
    several = any(i.tag in ("number", "count") and i.text.lower() not in ("a", "an") for i in named[-1].said)
    return bare and several and all(i.tag in ("side", "place", "size", "box") for i in items)


def _next_head(segments: list[Segment], n: int) -> str | None:
    if n + 1 >= len(segments) or segments[n + 1].sentence != segments[n].sentence:
        return None
    return next((i.tag for i in segments[n + 1].items if i.tag in SUITS and i.tag != "oedema" and not i.denied), None)


def _has_own(segments: list[Segment], items: list[Item]) -> bool:
    """Tell whether the next finding is given attributes of the same kinds, so that it wants no others."""
    tags: set[str] = set()
    for n, segment in enumerate(segments):
        if n and any(i.tag in SUITS for i in segment.items):
            break
        tags |= {i.tag for i in segment.items}
    return any(i.tag in tags for i in items)


def _check_denied(item: Item, groups: list[Group], reading: Reading) -> None:
    if any(i.tag == item.tag and i.value == item.value and not i.denied for g in groups[-1:] for i in g.said):
        raise TextError(f"'{item.text}' is said and denied of the same finding; say one")
    item.meaning = "denied"


def _appositions(made: list[Group], groups: list[Group], segment: Segment, reading: Reading) -> list[Group]:
    """Join a second name to the lesion it names: 'a tumour (glioblastoma)', 'glioblastoma, a 30 mm mass'."""
    last, first = groups[-1] if groups else None, made[0]
    if last is None or last.sentence != segment.sentence or segment.opened_by not in ("comma", "paren"):
        return made
    heads = (last.head, first.head)
    kinds = [h.value.split()[0] for h in heads if h.tag == "lesion" and not h.denied]
    if len(kinds) < 2 or "pointed" in kinds or "again" in kinds or len({*kinds} - {"unspecified"}) > 1:
        return made
    full = last.all("size", "box") and last.all("side", "place") and segment.opened_by != "paren"
    if not first.said and not full:
        last.head.value = f"{kinds[1] if kinds[0] == 'unspecified' else kinds[0]} {last.head.value.split()[1]}"
        first.head.meaning = "another name of the lesion before it"
        reading.items.append(first.head)
        return made[1:] or [groups.pop()]
    if not last.said and kinds[0] != "unspecified":
        first.head.value = f"{kinds[0]} {first.head.value.split()[1]}"
        last.head.meaning = "another name of the lesion after it"
        reading.items.append(last.head)
        groups.pop()
    return made
