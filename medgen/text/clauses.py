"""Segments of a sentence, and what in them is denied."""

from __future__ import annotations

from dataclasses import dataclass, field

from medgen.text.items import Item, TextError

_OPENERS = ("comma", "paren", "with", "but", "except")
#: what can be denied
NAMED = (
    "lesion", "again", "wmh", "ventricles", "atrophy", "shift", "midline", "motion", "noise", "bias", "artefacts", "contrast",
    "agent", "plane", "sex", "refused", "oedema",
)  # fmt: skip
_ATTRIBUTES = ("side", "place", "size", "box", "from")
#: after 'and', these start something that the denial before it does not reach
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
    reach: str = ""  # what the denial was last said of
    for n, item in enumerate(items):
        rest = items[n + 1 :]
        if item.tag == "not":
            ahead = next((i.tag for i in rest if i.tag not in ("word", "count", "each", "not")), "")
            behind = any(i.tag in NAMED for i in items[:n])
            if ahead in _ATTRIBUTES and not any(i.tag in NAMED for i in rest):
                for attribute in rest:  # 'a lesion not on the left' denies the place, not the lesion
                    if attribute.tag in _ATTRIBUTES:
                        attribute.denied = True
                break
            if not ahead and not any(i.tag in NAMED for i in items):
                for attribute in items[:n]:  # 'none on the right'
                    attribute.denied = attribute.denied or attribute.tag in _ATTRIBUTES
            last = next((i.tag for i in reversed(items[:n]) if i.tag != "word"), "")
            denied = not denied if last == "not" else True  # two in a row cancel out
            if behind and not any(i.tag in (*NAMED, "enlarged", "normal") for i in rest):
                _deny_before(items[:n], denied)
        elif item.tag == "and" and denied:
            denied = _reaches(rest, reach)
        elif item.tag in NAMED or item.tag in ("enlarged", "normal"):
            item.denied = item.denied or denied
            reach = item.tag
    segment.denied_at_end = denied
    segment.items = [i for i in items if i.tag != "not"]


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


def _deny_before(items: list[Item], denied: bool) -> None:
    """Deny what stands before a denial at the end: 'lesions left out'."""
    for n in range(len(items) - 1, -1, -1):
        if items[n].tag == "and" and items[n + 1 : n + 2] and items[n + 1].tag in _FRESH:
            break
        if items[n].tag in NAMED:
            items[n].denied = denied
