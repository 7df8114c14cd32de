"""Values of DICOM headers: which are sound enough to be carried into an object of our own, and how to write numbers."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VM, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds, validate_value

#: Characters of a Decimal String (PS3.5 6.2).
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
#: No control characters, but for those that paragraphs are made of (PS3.5 6.1.3).
TEXT = re.compile(r"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]*")
LINE = re.compile(r"[^\x00-\x1a\x1c-\x1f\x7f]*")
PARAGRAPHS = ("ST", "LT", "UT")
NUMBERS = ("US", "SS", "UL", "SL", "UV", "SV", "FD", "FL", "AT")
BYTES = ("UN", "OB", "OW", "OD", "OF", "OL", "OV")
#: Enumerated values of coded words (VR CS): any other is broken.
ENUMERATED: dict[str, frozenset[str]] = {
    keyword: frozenset(words.split())
    for keyword, words in {
        "ScanningSequence": "SE IR GR EP RM",
        "SequenceVariant": "SK MTC SS TRSS SP MP OSP NONE",
        "MRAcquisitionType": "2D 3D",
        "AngioFlag": "Y N",
        "InPlanePhaseEncodingDirection": "ROW COL",
        "RotationDirection": "CW CC",
        "Laterality": "R L",
        "ImageLaterality": "R L U B",
        "PatientSex": "M F O",
        "BurnedInAnnotation": "YES NO",
        "RecognizableVisualFeatures": "YES NO",
        "LossyImageCompression": "00 01",
        "SpatialLocationsPreserved": "YES NO REORIENTED_ONLY",
        "SyntheticData": "YES NO",
    }.items()
}


def sound(source: Dataset, keyword: str) -> DataElement | None:
    """Return a copy of an element without private parts, or None where it is missing, empty or broken.

    Broken is what breaks the rules of its VR or VM (PS3.5 6.2, PS3.6), or a sequence with anything broken in it.
    """
    tag = tag_for_keyword(keyword)
    try:
        if tag is None or tag not in source or source[tag].is_empty:
            return None
        element = copy.deepcopy(source[tag])
        _check(element)
    except Exception:  # noqa: BLE001  a broken value raises many types; it is left out
        return None
    return element


def value(source: Dataset | None, keyword: str) -> Any:
    """Return what `sound` finds, or None."""
    element = None if source is None else sound(source, keyword)
    return None if element is None else element.value


def _check(element: DataElement) -> None:
    """Raise for a broken value; write numbers anew that are too long, and take private elements out of sequences."""
    if element.VR == "SQ":
        for item in element.value:
            item.remove_private_tags()
            for inner in list(item.keys()):
                if item[inner].VR in BYTES:
                    del item[inner]
                elif not item[inner].is_empty:
                    _check(item[inner])
        return
    least, _, most = dictionary_VM(element.tag).partition("-")
    if element.VM < int(least) or not ("n" in most or element.VM <= int(most or least)):
        raise ValueError("too few or too many values")
    values: Iterable[object] = element.value if element.VM > 1 else [element.value]
    if element.VR in BYTES:
        raise ValueError("bytes, which may be anything")
    if element.VR == "DS":
        digits = [as_ds(str(number)) for number in values]
        element.value = digits if len(digits) > 1 else digits[0]
    elif element.keyword in ENUMERATED and not ENUMERATED[element.keyword].issuperset(map(str, values)):
        raise ValueError("not an enumerated value")
    elif element.VR not in NUMBERS:
        for text in map(str, values):
            validate_value(element.VR, text, pydicom.config.RAISE)
            if not (TEXT if element.VR in PARAGRAPHS else LINE).fullmatch(text):
                raise ValueError("control characters")


def as_ds(number: str | float) -> str:
    """Return a number as a Decimal String: its own digits if these are 16 at most. Raises `ValueError` for no number."""
    text = str(number).strip()
    return text if len(text) <= 16 and DECIMAL.fullmatch(text) else format_number_as_ds(float(number) + 0.0)


def plain(text: str) -> str:
    """Return text that LO and ST can hold in any character set: ASCII, in one line, without backslash."""
    return re.sub(r"[^\x20-\x7e]|\\", "?", " ".join(text.split()))
