"""What is between there and not there, and counts that are no number: refused, since a `ScanSpec` has nothing for them."""

from __future__ import annotations

import itertools

from medgen.text.items import Reading, TextError


def count_of_lesions(reading: Reading) -> None:
    """Refuse counts of something else than lesions: 'three clusters of lesions', 'two scans', 'two in each lobe'."""
    items = reading.items
    for n, item in enumerate(items[1:], 1):
        counted = items[n - 1].tag == "count" or items[n - 1].tag == "quantity" and not items[n - 1].value.unit
        if counted and item.tag == "word" and [i.text.lower() for i in items[n + 1 : n + 2]] == ["of"]:
            rest = (i for i in items[n + 2 :] if i.tag not in ("fill", "side", "place", "scale", "grade", "quantity", "word"))
            if (head := next(rest, None)) is not None and head.tag == "lesion" and head.value.endswith("many"):
                raise no_count(reading.text[items[n - 1].start : items[n + 1].end])
        scans = next((i for i in items[n:] if i.tag not in ("plane", "contrast", "word")), item)
        if counted and scans.text.lower() in ("scans", "patients"):
            raise TextError(f"'{reading.text[items[n - 1].start : scans.end]}': a sentence is of one scan; say how many beside it")
        if items[n - 1].tag == "each" and (item.tag == "place" or item.text.lower() in ("side", "hemisphere", "lobe")):
            raise TextError(f"'{reading.text[items[n - 1].start : item.end]}': say how many are on the left, and how many on the right")


def no_count(words: str) -> TextError:
    return TextError(f"'{words}' is no count that is understood; write a number, such as 12")


def no_near_denials(reading: Reading) -> None:
    """Refuse words between there and not there, such as 'scarcely' and 'almost no', and counts that are no number ('scores of')."""
    for item, after in itertools.zip_longest(reading.items, reading.items[1:]):
        if item.tag == "unclear" and item.value == "count":
            raise no_count(item.text)
        if item.tag == "unclear" or item.tag == "nearly" and after is not None and after.tag == "not":
            words = reading.text[item.start : (item if item.tag == "unclear" else after).end]
            raise TextError(f"'{words}' leaves open whether there is something; say what there is, or 'no ...'")
        if after is not None and item.tag == after.tag == "not" and after.value == "after":
            raise TextError(f"'{reading.text[item.start : after.end]}' leaves open whether there is something; say what there is")
        if item.tag == "nearly":
            item.tag = "word"
