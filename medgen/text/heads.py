"""The names of findings: one finding under two names, and lesions that are only pointed at ('one on the right')."""

from __future__ import annotations

from medgen.text.items import Item, Reading, TextError
from medgen.text.lexicon import table

HEADS = frozenset(("lesion", "ventricles", "atrophy", "shift", "motion", "noise", "bias", "oedema", "slice", "voxel", "other"))


def merge(items: list[Item], reading: Reading, earlier: bool) -> list[Item]:
    """Put heads together that are one finding, and find those that are only pointed at ('one on the right')."""
    out: list[Item] = []
    for item in items:
        last = out[-1] if out else None
        if item.tag == "wmh":
            item = Item("lesion", "ms-like wm", item.start, item.end, item.text, denied=item.denied)
        in_matter = last is not None and last.tag == "place" and last.value in ("white matter", "periventricular")
        if in_matter and item.tag == "lesion" and item.value.startswith("unspecified "):
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


def pointed_at(items: list[Item]) -> list[Item]:
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
        told = not tags & HEADS and "respectively" not in tags
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
