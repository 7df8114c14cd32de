"""Segments of a sentence, and what in them is denied."""

from __future__ import annotations

from dataclasses import dataclass, field

from medgen.text.items import Item, TextError

_OPENERS = ("comma", "paren", "with", "but", "except")
#: what can be denied
NAMED = (
    "lesion", "again", "wmh", "ventricles", "atrophy", "shift", "midline", "motion", "noise", "bias", "artefacts", "contrast",
    "agent", "plane", "sex", "refused", "oedema", "finding",
)  # fmt: skip
_ATTRIBUTES = ("side", "place", "size", "box", "from")
#: after 'and', these start something that the denial before it does not reach
_FINDINGS = ("lesion", "again", "wmh", "ventricles", "atrophy", "shift", "oedema")
_ONE_THING = {"lesion", "wmh", "again", "midline", "shift"}  #: names that may be two of one finding
_SEQUENCE = ("contrast", "agent", "plane", "sex")
_FRESH = ("count", "number", "size", "grade", "box")


@dataclass
class Segment:
    """Items between two separators, and the separator before them; `sentence` counts full stops."""

    opened_by: str
    sentence: int
    items: list[Item] = field(default_factory=list)
    denied_at_end: bool = False


def split(items: list[Item]) -> list[Segment]:
    """Return the segments of a text, with `Item.denied` set on all that is denied, and the denials taken out."""
    segments = [Segment("stop", 0)]
    items = _exceptions(items)
    for n, item in enumerate(items):
        if item.tag == "stop" or item.tag in _OPENERS:
            opener = item.tag
            if not segments[-1].items and opener != "stop":  # ', but': the stronger word counts
                segments[-1].opened_by = opener
                continue
            segments.append(Segment(opener, segments[-1].sentence + (opener == "stop")))
        elif _without(items, n) and segments[-1].items and segments[-1].items[-1].tag != "not":
            segments.append(Segment("with", segments[-1].sentence, [item]))
        else:
            segments[-1].items.append(item)
    segments = [s for s in segments if s.items]
    for n, segment in enumerate(segments):
        before = segments[n - 1] if n else None
        _deny(segment, before is not None and before.denied_at_end and _goes_on(segments, n))
        if segment.opened_by == "except" and (before is None or not before.denied_at_end):
            raise TextError("'except' is understood after a denial only (no lesion except ...); say what there is")
    return segments


def _without(items: list[Item], n: int) -> bool:
    """Tell whether a denial ties a further finding to what is before it: 'a tumour without oedema'."""
    if items[n].tag != "not" or items[n].text.lower() not in ("without", "w/o", "不伴", "不伴有"):
        return False
    following = next((i.tag for i in items[n + 1 :] if i.tag in (*NAMED, *_OPENERS, "stop", "enlarged")), "")
    return following in NAMED


def _exceptions(items: list[Item]) -> list[Item]:
    """Turn Chinese '除 A 外，未见 B' into 'A, 未见 B': an exception from a denial is there."""
    out = list(items)
    for item in [i for i in out if i.tag == "except" and i.value == "-" and not i.text.isascii()]:
        rest = out[out.index(item) :]
        end = next((i for i in rest if i.tag == "except" and i.value == "end"), None)
        after = rest[rest.index(end) + 1 :] if end else []
        clause = [i.tag for i in after[1 if after and after[0].tag == "comma" else 0 :]]
        clause = clause[: next((n for n, tag in enumerate(clause) if tag in ("comma", "stop")), len(clause))]
        if end is None or "not" not in clause and "normal" not in clause:
            raise TextError(f"'{item.text}' is understood before a denial only (除...外，未见...); say what there is")
        if not after or after[0].tag != "comma":
            end.tag = "comma"
        else:
            out.remove(end)
        out.remove(item)
    return [i for i in out if not (i.tag == "except" and i.value == "end")]


def _goes_on(segments: list[Segment], n: int) -> bool:
    """Tell whether a denial reaches over the comma: 'no atrophy, lesions or motion'."""
    for segment in segments[n:]:
        tags = [item.tag for item in segment.items]
        if segment.opened_by != "comma" or any(tag in (*_FRESH, "not", "side", "place") for tag in tags):
            return False
        if not any(tag in NAMED for tag in tags):
            return False
        if "or" in tags:
            return True
    return False


def _deny(segment: Segment, denied: bool) -> None:
    items = segment.items
    reach = ""  # what the denial was last said of
    named: Item | None = None  # the same, until an 'and' or 'or'
    for n, item in enumerate(items):
        before, rest = items[:n], items[n + 1 :]
        if item.tag == "not":
            named = None
            what = _denies(before, item, rest)
            if what == "the one before":
                _deny_before(before)
                denied = False
            elif what == "attributes":
                _deny_attributes(rest)
            elif what == "the other":
                for other in rest[: _contrast(before, item, rest)]:
                    other.denied = all(i.value != other.value for i in before[-3:])
            elif what == "what follows":
                last = next((i.tag for i in reversed(before) if i.tag != "word"), "")
                denied = not denied if last == "not" else True  # two in a row cancel out
            elif what == "attributes before":
                for attribute in before:  # 'none on the right'
                    attribute.denied = attribute.denied or attribute.tag in _ATTRIBUTES
        elif item.tag in ("and", "or"):
            denied = denied and (item.tag == "or" or _reaches(rest, reach))
            named = None
        elif item.tag in NAMED or item.tag in ("enlarged", "normal"):
            if denied and named is not None and item.tag in _FINDINGS and not {item.tag, named.tag} <= _ONE_THING:
                raise TextError(f"'{item.text}' after '{named.text}' may be denied or not; set a comma, or 'or', between them")
            item.denied = item.denied or denied
            reach = item.tag
            named = item if denied and item.tag in NAMED else named
    segment.denied_at_end = denied
    segment.items = [i for i in items if i.tag != "not"]


def _denies(before: list[Item], item: Item, rest: list[Item]) -> str:
    """Tell what a denial is said of; `TextError` where that is not understood.

    Its value is 'after' where it stands after what it denies (absent), and 'of' where it is of what follows, even of
    something unknown (no).
    """
    if _contrast(before, item, rest):
        return "the other"
    start = max((n + 1 for n, i in enumerate(before) if i.tag in ("and", "or")), default=0)
    near = any(i.tag in NAMED for i in before[start:])
    if near and item.value == "after":
        return "the one before"
    if rest and rest[0].tag == "word" and any(i.tag in _FINDINGS for i in rest):
        joined = rest[0].start == item.end
        if joined and item.text in ("不", "非"):  # 不规则, 非特异性
            return "something unknown"
        if item.value in ("-", "instead") or joined:
            raise TextError(f"'{item.text} {rest[0].text}': is only this denied, or what follows too? Say it another way")
    if any(i.tag in (*NAMED, "enlarged", "normal") for i in rest):
        ahead = any(i.tag in NAMED for i in rest)
        attribute = next((i.tag for i in rest if i.tag not in ("word", "count", "each", "not")), "") in _ATTRIBUTES
        return "attributes" if attribute and not ahead else "what follows"
    if any(i.tag in _ATTRIBUTES for i in rest):
        return "attributes"
    if any(i.tag == "word" for i in rest):  # 'and no calcification'
        if near and item.value != "of":
            raise TextError(f"'{item.text} {next(i.text for i in rest if i.tag == 'word')}': what is denied is not understood")
        return "something unknown"
    return "the one before" if any(i.tag in NAMED for i in before) else "attributes before"


def _contrast(before: list[Item], item: Item, rest: list[Item]) -> int:
    """Return how many items after 'rather than' stand against as many before it: 1 in 'left rather than right frontal lobe'."""
    before = before[:-1] if before and before[-1].tag in ("and", "but") else before  # 'right and not left'
    for k in (2, 1):
        pairs = list(zip(before[-k:], rest[:k]))
        alike = len(pairs) == k and all(a.tag == b.tag and a.tag in _ATTRIBUTES for a, b in pairs)
        if item.value == "instead" and alike and any(a.value != b.value for a, b in pairs):
            return k
    return 0


def _deny_attributes(rest: list[Item]) -> None:
    """Deny the place or the size at the beginning of some items: 'a lesion not on the left, ...' is one all the same."""
    first = next(n for n, i in enumerate(rest) if i.tag in _ATTRIBUTES)
    kinds = ("side", "place", "from") if rest[first].tag in ("side", "place", "from") else ("size", "box")
    for n, item in enumerate(rest[first:], first):
        joins = item.tag in ("and", "or") and n + 1 < len(rest) and rest[n + 1].tag in kinds
        if item.tag not in kinds and not joins:
            break
        item.denied = item.tag in kinds


def _reaches(rest: list[Item], reach: str) -> bool:
    """Tell whether a denial reaches over an 'and' to what follows: over 'no atrophy and lesions', not over '... and mild noise'."""
    chunk = rest[: next((n for n, i in enumerate(rest) if i.tag in ("and", "or", "not")), len(rest))]
    named = next((i for i in chunk if i.tag in NAMED), None)
    tags = {i.tag for i in chunk}
    if rest and rest[0].tag in _FRESH:
        return False
    if named is None:
        return True
    if named.tag in _SEQUENCE and reach not in _SEQUENCE:
        return False
    if tags & {*_FRESH, "scale"}:
        return False
    if tags & {"side", "place", "from"} and len(chunk) < len(rest) and rest[len(chunk)].tag == "not":
        return False  # it has its own denial behind it
    if tags & {"side", "place", "from"} or ("enlarged" in tags and reach not in ("ventricles", "enlarged")):
        raise TextError(f"'{named.text}' after 'and' may be denied or not; say 'and no', or begin a new sentence")
    return True


def _deny_before(items: list[Item]) -> None:
    """Deny what stands before a denial at the end: 'lesions left out'."""
    for n in range(len(items) - 1, -1, -1):
        if items[n].tag in ("and", "or"):
            if items[n + 1 : n + 2] and items[n + 1].tag in _FRESH:
                break
            if any(i.tag in _ATTRIBUTES for i in items[:n]) and any(i.tag in NAMED for i in items[:n]):
                raise TextError(f"what is before '{items[n].text}' may be denied or not; begin a new sentence for what is not there")
        if items[n].tag in NAMED:
            items[n].denied = True
