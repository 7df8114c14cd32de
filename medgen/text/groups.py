"""Which side, place, size, count and grade belongs to which finding. In doubt a sentence is refused, never guessed."""

from __future__ import annotations

from dataclasses import dataclass, field

from medgen.text.clauses import Segment
from medgen.text.items import Item, Reading, TextError

_LESION = ("side", "place", "size", "box", "scale", "count", "number", "each", "respectively", "relative")
#: what can be said of each head
SUITS: dict[str, tuple[str, ...]] = {
    "lesion": _LESION,
    "ventricles": ("side", "grade", "enlarged", "slit", "normal", "times", "percent", "scale", "relative"),
    "atrophy": ("side", "place", "grade", "relative"),
    "shift": ("side", "from", "size", "grade", "relative", "scale"),
    "motion": ("grade", "percent", "scale"),
    "noise": ("grade", "percent", "scale"),
    "bias": ("grade", "percent", "scale"),
    "oedema": ("grade", "side", "place", "size", "scale"),
    "slice": ("size",),
    "voxel": ("size", "box"),
    "other": ("size", "box", "number"),
}
ATTRIBUTES = frozenset(tag for tags in SUITS.values() for tag in tags)
_CARRY_WEIGHT = ("side", "place", "from", "size", "box", "scale", "count", "number", "relative", "times", "percent")


@dataclass
class Group:
    """A finding (`head`) with what is said of it, in the order of the text; 'and' and 'or' stay in between."""

    head: Item
    sentence: int
    said: list[Item] = field(default_factory=list)
    exception: bool = False

    def all(self, *tags: str) -> list[Item]:
        return [item for item in self.said if item.tag in tags]


def group(segments: list[Segment], reading: Reading) -> tuple[list[Group], list[Item]]:
    """Return the groups of a text, and the items that stand for themselves (plane, contrast, age ...)."""
    groups: list[Group] = []
    alone: list[Item] = []
    waiting: list[Item] = []  # attributes that came before their head
    for n, segment in enumerate(segments):
        if waiting and segment.sentence != segments[n - 1].sentence:
            raise _of_what(waiting, reading)
        _check_sides(segment, reading)
        items = _merge(segment.items, reading, alone, bool(groups))
        alone += [i for i in items if i.tag not in SUITS and i.tag not in ATTRIBUTES and i.tag not in ("and", "or", "all")]
        items = [i for i in items if i.tag in SUITS or i.tag in ATTRIBUTES or i.tag in ("and", "or", "all")]
        made = _bind(items, segment, reading)
        if made:
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
        heavy = [i for i in items if i.tag in ATTRIBUTES and not i.denied]
        if not heavy:
            for item in items:
                if item.denied:
                    _check_denied(item, groups, reading)
            continue
        normal = next((i for i in items if i.tag == "normal"), None)
        if normal is not None and all(i.tag in ("normal", "side", "place") for i in heavy):
            last = groups[-1] if groups and groups[-1].sentence == segment.sentence else None
            if last is not None and last.head.tag == "ventricles" and len(heavy) == 1 and not last.all("enlarged", "slit", "normal", "times"):
                last.said.append(normal)
                continue
            if normal.denied:
                raise TextError(f"'not {normal.text}': say what there is")
            head = Item("lesion", "unspecified mass", normal.start, normal.end, normal.text, denied=True)
            groups.append(Group(head, segment.sentence, [i for i in items if i is not normal]))
            continue
        last = groups[-1] if groups and groups[-1].sentence == segment.sentence and not waiting else None
        if last is not None and (_another(last, heavy) or _one_of(groups, segment, heavy)):
            head = Item("lesion", "pointed mass", heavy[0].start, heavy[0].start, "")
            groups.append(Group(head, segment.sentence, items))
            continue
        if last is not None and _takes(last, heavy):
            following = _next_head(segments, n)
            if following is not None and all(i.tag in SUITS.get(following, ()) for i in heavy) and heavy[0].tag in _CARRY_WEIGHT:
                if not _has_own(segments[n + 1], heavy):
                    raise TextError(f"'{_shown(heavy, reading)}' may belong to what is before or after it; join it to one by words")
            _say_of_all(last, groups, items, reading)
        elif all(i.tag in ("grade", "each", "respectively", "enlarged", "slit") for i in heavy):
            waiting += items
        else:
            waiting += [Item("comma", None, 0, 0, ""), *items] if waiting else items
    if any(i.tag in _CARRY_WEIGHT for i in waiting):
        raise _of_what(waiting, reading)
    alone += waiting
    return groups, alone


def _appositions(made: list[Group], groups: list[Group], segment: Segment, reading: Reading) -> list[Group]:
    """Join a second name to the lesion it names: 'a tumour (glioblastoma)', 'glioblastoma, a 30 mm mass'."""
    last, first = groups[-1] if groups else None, made[0]
    if last is None or last.sentence != segment.sentence or segment.opened_by not in ("comma", "paren"):
        return made
    heads = (last.head, first.head)
    kinds = [h.value.split()[0] for h in heads if h.tag == "lesion" and not h.denied]
    if len(kinds) < 2 or "pointed" in kinds or "again" in kinds or len({*kinds} - {"unspecified"}) > 1:
        return made
    if not first.said:
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


def _say_of_all(last: Group, groups: list[Group], items: list[Item], reading: Reading) -> None:
    """Add what was said after a comma to the last group, or with 'all' to all lesions of the sentence."""
    peers = [g for g in groups if g.sentence == last.sentence and g.head.tag == "lesion" == last.head.tag and not g.head.denied]
    sizes = [i for i in items if i.tag in ("size", "box", "scale")]
    open_peers = [g for g in peers if not g.all("size", "box", "scale")]
    takers = [last]
    if sizes and len(open_peers) > 1 and last in open_peers:
        if not any(i.tag in ("all", "each") for i in items):
            raise TextError(f"'{_shown(items, reading)}' may belong to {len(open_peers)} lesions; say it of each, or say 'all'")
        takers = open_peers
    listed = "list" if any(i.tag == "and" for i in items) else None  # 'frontal, temporal and parietal'
    for group in takers:
        group.said += [Item("comma", listed, 0, 0, ""), *items]


def _of_what(items: list[Item], reading: Reading) -> TextError:
    return TextError(f"'{_shown(items, reading)}' of what? Name the lesion, ventricles, shift, slices or voxels that it belongs to")


def _shown(items: list[Item], reading: Reading) -> str:
    told = [i for i in items if i.text]
    return reading.text[told[0].start : told[-1].end].strip()


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


def _has_own(segment: Segment, items: list[Item]) -> bool:
    """Tell whether a segment has attributes of the same kinds, so that it wants no others."""
    tags = {i.tag for i in segment.items}
    return any(i.tag in tags for i in items)


def _check_denied(item: Item, groups: list[Group], reading: Reading) -> None:
    if any(i.tag == item.tag and i.value == item.value and not i.denied for g in groups[-1:] for i in g.said):
        raise TextError(f"'{item.text}' is said and denied of the same finding; say one")
    item.meaning = "denied"


def _check_sides(segment: Segment, reading: Reading) -> None:
    """Refuse a side of something unknown, such as 'left zzz'."""
    items = segment.items
    for n, item in enumerate(items):
        rest = [i.tag for i in items[n + 1 : n + 5]]
        if item.tag in ("side", "relative") and rest[:1] == ["word"]:
            beyond = [tag for tag in rest if tag != "word"][:1]
            if rest[1:3] == ["word", "word"] or not beyond or beyond[0] not in ("lesion", "wmh", "place", "ventricles", "atrophy", "shift"):
                shown = reading.text[item.start : items[n + 1].end]
                raise TextError(f"'{shown}': what is {item.value} is not understood; name a lobe or a finding")


def _merge(items: list[Item], reading: Reading, alone: list[Item], earlier: bool) -> list[Item]:
    """Put heads together that are one finding, and find those that are only pointed at ('one on the right')."""
    out: list[Item] = []
    for item in items:
        last = out[-1] if out else None
        if item.tag == "wmh":
            item = Item("lesion", "ms-like wm", item.start, item.end, item.text, denied=item.denied)
        if item.value == "unspecified one" or item.value == "unspecified many" or item.value == "unspecified mass":
            if last is not None and last.value in ("white matter", "periventricular") and last.tag == "place":
                item.value = f"ms-like {item.value.split()[1]}"  # white matter hyperintensities
        if item.tag == "lesion" and last is not None and (last.tag in ("lesion", "isa")):
            first = last if last.tag == "lesion" else next((i for i in reversed(out) if i.tag == "lesion"), None)
            if first is not None:
                _join(first, item, reading)
                continue
        if item.tag == "again":
            if earlier:
                item = Item("lesion", "again mass", item.start, item.end, item.text, denied=item.denied)
            elif item.text.isascii() and " " in item.text:
                word = item.text.split()[-1].lower()
                from medgen.text.lexicon import table

                item = Item("lesion", table()[word].value, item.start, item.end, item.text, denied=item.denied)
            else:
                reading.ignored.append(item)
                continue
        out.append(item)
    out = [i for i in out if i.tag != "isa"]
    if any(i.tag == "midline" for i in out):
        moved = next((i for i in out if i.tag in ("shift", "from", "centred")), None)
        for midline in [i for i in out if i.tag == "midline"]:
            if moved is None:
                raise TextError(f"'{midline.text}' is no place that is understood; say midline shift, or name a place")
            if moved.tag == "shift":
                out.remove(midline)
                moved.denied = moved.denied or midline.denied
            else:
                midline.tag = "shift"
                midline.denied = midline.denied or moved.tag == "centred"
    for item in [i for i in out if i.tag in ("artefacts", "centred")]:
        n = out.index(item)
        artefacts = [Item(tag, "-", item.start, item.end, item.text, denied=True) for tag in ("motion", "noise", "bias")]
        out[n : n + 1] = artefacts if item.tag == "artefacts" and item.denied else []
        if item.tag == "artefacts" and not item.denied:
            reading.ignored.append(item)
    return out


def _join(first: Item, second: Item, reading: Reading) -> None:
    """Make one lesion of two names in a row: 'ischaemic lesion'."""
    (kind, count), (kind2, count2) = first.value.split(), second.value.split()
    if "unspecified" not in (kind, kind2) and kind != kind2:
        raise TextError(f"'{reading.text[first.start : second.end]}' names two kinds of lesion; describe each")
    first.value = f"{kind if kind != 'unspecified' else kind2} {count2 if count2 != 'mass' or count == 'mass' else count}"
    first.end, first.text, first.denied = second.end, reading.text[first.start : second.end], first.denied or second.denied


def _bind(items: list[Item], segment: Segment, reading: Reading) -> list[Group]:
    """Return the groups of one segment: each attribute goes to the one head that it can go to."""
    items = _pointed_at(items)
    heads = [n for n, item in enumerate(items) if item.tag in SUITS]
    if not heads:
        return []
    groups = [Group(items[n], segment.sentence, exception=segment.opened_by == "except") for n in heads]
    for g, head in enumerate(heads):
        end = heads[g + 1] if g + 1 < len(heads) else len(items)
        between = items[head + 1 : end]
        cut = max((n for n, i in enumerate(between) if i.tag in ("and", "or")), default=None) if g + 1 < len(heads) else None
        if g == 0:
            for item in items[:head]:
                _give(item, [groups[0]], reading, groups)
        if cut is not None:
            for item in between[:cut]:
                _give(item, [groups[g]], reading, groups)
            groups[g + 1].said.append(between[cut])
            for item in between[cut + 1 :]:
                _give(item, [groups[g + 1]], reading, groups)
        else:
            for item in between:
                _give(item, groups[g : g + 2], reading, groups)
    return groups


def _give(item: Item, near: list[Group], reading: Reading, groups: list[Group]) -> None:
    if item.tag in ("and", "or", "all"):
        near[0].said.append(item)
        return
    if item.tag == "count" and item.text.lower() in ("a", "an"):
        near = near[-1:]
        if item.tag not in SUITS[near[0].head.tag]:
            return
    fitting = [g for g in near if item.tag in SUITS[g.head.tag]] or [g for g in groups if item.tag in SUITS[g.head.tag]]
    if item.tag == "grade" and not fitting:
        reading.ignored.append(item)
        return
    if len(fitting) > 1:
        fitting = [g for g in fitting if g.head.tag != "oedema" or item.tag in ("grade", "size")] if item.tag != "size" else fitting
    if len(fitting) != 1:
        names = " or ".join(f"'{g.head.text}'" for g in fitting) or "nothing that is named"
        raise TextError(f"'{item.text}' may belong to {names}; set a comma or 'and' between them, and say it of each")
    fitting[0].said.append(item)


def _pointed_at(items: list[Item]) -> list[Item]:
    """Make a lesion of 'one' in 'one on the right', which has no name of its own."""
    out: list[Item] = []
    chunk: list[Item] = []
    for item in [*items, None]:
        if item is not None and item.tag not in ("and", "or"):
            chunk.append(item)
            continue
        tags = {i.tag for i in chunk}
        counts = [i for i in chunk if i.tag in ("number", "count")]
        strong = [i for i in counts if i.text.lower() not in ("a", "an")]
        told = not tags & SUITS.keys() and "respectively" not in tags
        if told and not strong and tags & {"side", "place"} and tags & {"size", "box"} and _full(out):
            chunk.insert(0, Item("lesion", "pointed mass", chunk[0].start, chunk[0].start, ""))
        elif strong and told and tags & {"side", "place", "size", "box"}:
            one = strong[-1]
            head = Item("lesion", "pointed mass", one.start, one.end, one.text)
            chunk.insert(chunk.index(one) + 1, head)
        out += chunk + ([item] if item is not None else [])
        chunk = []
    return out


def _full(items: list[Item]) -> bool:
    """Tell whether the last finding is a lesion with a size and a place, so that an 'and' begins another one."""
    n = max((n for n, i in enumerate(items) if i.tag in ("and", "or") and n + 1 < len(items)), default=-1)
    tags = {i.tag for i in items[n + 1 :]}
    return "lesion" in tags and bool(tags & {"side", "place"}) and bool(tags & {"size", "box"})
