"""One DICOM file: its header, parsed once, where its pixels lie, and its values without pydicom's slow conversions."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medgen.scans.dicom_parsing import silent
from medgen.scans.scan import ScanError

TEXT = frozenset(("UI", "DS", "IS", "CS", "LO", "SH", "TM", "DA", "DT", "AS", "PN"))
DEFLATED = DeflatedExplicitVRLittleEndian.encode()
HEADER_LIMIT = 1 << 24  #: bytes of a deflated file that are inflated to find its header
MODALITIES = frozenset((
    "CR", "CT", "DX", "ES", "GM", "IO", "IVUS", "MG", "MR", "NM", "OCT", "OP", "OT", "PT", "PX", "RF", "RG",
    "RTIMAGE", "SM", "US", "XA", "XC",
))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Instance:
    """A DICOM file.

    Attributes:
        ds: the whole header, without pixels.
        offset: where the pixel element begins, in the file (of a deflated file, in what it inflates to).
        stamp: size and time of change of the file when it was parsed.
    """

    path: Path
    ds: Dataset
    offset: int
    stamp: tuple[int, int]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)  #: those that were asked for

    @cached_property
    def elements(self) -> dict[int, DataElement | RawDataElement]:
        """The header's elements as they were parsed; by plain numbers, which Python compares faster than pydicom's tags."""
        return {int(tag): element for tag, element in self.ds.items()}

    def has(self, keyword: str) -> bool:
        """Say whether the header holds an attribute, empty or not."""
        return _tag(keyword)[0] in self.elements

    @cached_property
    def storage(self) -> str:
        """The name of its SOP class, such as "CT Image Storage", or the UID of one that is not known; "" where it has none."""
        return _name(text(self, "SOPClassUID") or str(self.ds.file_meta.get("MediaStorageSOPClassUID") or ""))

    @cached_property
    def syntax(self) -> str:
        """The transfer syntax UID; where the file names none, the uncompressed one that it was parsed as."""
        named = self.ds.file_meta.get("TransferSyntaxUID")
        if named:
            return str(named)
        implicit, little = self.ds.original_encoding
        return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian

    def unchanged(self) -> bool:
        """Say whether the file is the one that was parsed."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        return self.stamp == (stat.st_size, stat.st_mtime_ns)


def open_instance(path: Path) -> Instance:
    """Parse a file's header. Raises `ScanError` for what cannot be read or is not DICOM.

    A file without the DICM mark (PS3.10 7.1) is taken for DICOM where its header names a class and an instance.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            head = file.read(1024)
            file.seek(0)
            if DEFLATED in head:
                ds, offset = _open_deflated(file.read())
            else:
                ds = pydicom.dcmread(file, stop_before_pixels=True, force=head[128:132] != b"DICM")
                offset = file.tell()
        if head[128:132] != b"DICM" and ("SOPClassUID" not in ds or "SOPInstanceUID" not in ds):
            raise ValueError
    except OSError as error:
        raise ScanError(path, f"cannot be read ({error.strerror})", "check its permissions") from None
    except Exception:  # noqa: BLE001  pydicom raises many types for a broken file
        raise ScanError(path, "is not a readable DICOM file", "copy or export it again") from None
    return Instance(path, ds, offset, (stat.st_size, stat.st_mtime_ns))


def inflate(stored: bytes, limit: int) -> bytes:
    """Return the content of a deflated file (PS3.5 A.5), at most `limit` bytes, as if it were not deflated."""
    uid = str(ExplicitVRLittleEndian).encode() + b"\0"  # of even length
    plain = b"\0" * 128 + b"DICM\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    return plain + zlib.decompressobj(-zlib.MAX_WBITS).decompress(stored[_meta_end(stored) :], limit)


def _meta_end(stored: bytes) -> int:
    if stored[132:140] != b"\x02\0\0\0UL\4\0":  # FileMetaInformationGroupLength
        raise ValueError
    return 144 + int.from_bytes(stored[140:144], "little")


def _open_deflated(stored: bytes) -> tuple[Dataset, int]:
    content = BytesIO(inflate(stored, HEADER_LIMIT))
    ds = pydicom.dcmread(content, stop_before_pixels=True)
    offset = content.tell()
    ds.buffer = None  # or the header keeps all of it
    ds.file_meta = pydicom.dcmread(BytesIO(stored[: _meta_end(stored)])).file_meta
    return ds, offset


def modality_of(source: Instance | Dataset) -> str:
    """Return the Modality where it is a defined term of images (PS3.3 C.7.3.1.1.1), else ""; a free word may name a patient."""
    word = text(source, "Modality")
    return word if word in MODALITIES else ""


def text(source: Instance | Dataset, keyword: str) -> str:
    """Return a value as it stands in the header, several joined by a backslash, "" where there is none."""
    return "\\".join(words(source, keyword))


def words(source: Instance | Dataset, keyword: str) -> tuple[str, ...]:
    """Return a value's parts as text; empty where there is none. Raises `ScanError` for one that no rule can decode."""
    if not isinstance(source, Instance):
        tag, vr = _tag(keyword)
        own = source.get_item(tag)
        return () if own is None else _parts(source, own, vr)
    found = source.values.get(keyword)
    if found is None:
        tag, vr = _tag(keyword)
        element = source.elements.get(tag)
        try:
            found = source.values[keyword] = () if element is None else _parts(source.ds, element, vr)
        except (NotImplementedError, BytesLengthException):  # a VR or a length that there is not
            raise ScanError(source.path, f"its {keyword} cannot be decoded", "copy or export it again") from None
    return found


def numbers(source: Instance | Dataset, keyword: str) -> tuple[float, ...]:
    """Return a value's numbers; empty where there is none. Raises `ValueError` for what is no number."""
    values = words(source, keyword)
    return tuple(float(value) for value in values) if any(values) else ()


def whole(instance: Instance, keyword: str) -> int:
    """Return a whole number, 0 where there is none. Raises `ScanError` for what is no whole number."""
    values = words(instance, keyword)
    try:
        return int(values[0]) if values and values[0] else 0
    except ValueError:
        raise ScanError(instance.path, f"its {keyword} is not a whole number", "copy or export it again") from None


@lru_cache(64)
def _name(uid: str) -> str:
    return UID(uid).name if UID(uid).is_valid else ""


@lru_cache(512)
def _tag(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag, dictionary_VR(tag)


def _parts(ds: Dataset, element: DataElement | RawDataElement, vr: str) -> tuple[str, ...]:
    if isinstance(element, RawDataElement) and element.VR in (None, vr):
        stored = element.value or b""
        if vr in TEXT:
            return tuple(part.strip(" \0") for part in stored.decode("latin-1").split("\\")) if stored else ()
        if vr == "US" and len(stored) == 2:
            return (str(int.from_bytes(stored, "little" if element.is_little_endian else "big")),)
    with silent():
        value: Any = ds[element.tag].value
    if value is None or value == "":
        return ()
    several = isinstance(value, (list, tuple, pydicom.multival.MultiValue))
    return tuple(str(part).strip(" \0") for part in value) if several else (str(value).strip(" \0"),)
