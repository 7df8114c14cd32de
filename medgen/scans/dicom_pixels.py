"""The stored pixels of DICOM files: what they must be to be numbers, and how they are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import pydicom.pixels
from pydicom.pixels import iter_pixels
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medgen.scans.dicom_header import Instance, inflate, text, whole
from medgen.scans.scan import Reading, ScanError

AGAIN = "copy or export it again"
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
#: The pixel elements (PS3.3 C.7.6.3, C.7.6.24) and the types of their numbers by BitsAllocated.
ELEMENTS = {
    (0x7FE0, 0x0010): {8: "1", 16: "2", 32: "4"},
    (0x7FE0, 0x0008): {32: "f4"},
    (0x7FE0, 0x0009): {64: "f8"},
}
#: What decodes a transfer syntax, the first that is installed: always the same where decoders may differ by rounding.
DECODERS = ("pillow", "pylibjpeg", "pyjpegls", "gdcm")
#: Defined terms (PS3.3 C.7.6.3.1.2), retired ones included.
PHOTOMETRIC = frozenset((
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "YBR_FULL", "YBR_FULL_422",
    "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB",
))  # fmt: skip
BOMB, RATIO = 1 << 26, 200  #: more bytes than this, and so many times what is stored, are no scan


def check_kind(instance: Instance, reading: Reading) -> None:
    """Raise `ScanError` where a file's pixels are no plain grey numbers, by its header alone."""
    path = instance.path
    samples, photometric = whole(instance, "SamplesPerPixel") or 1, text(instance, "PhotometricInterpretation")
    if photometric == "MONOCHROME1" and samples == 1:
        reason, remedy = "its pixels are MONOCHROME1, not MONOCHROME2: stored to be shown inverted", "export it as MONOCHROME2"
        reading.doubt(path, reason, remedy, "values are taken as stored")
    elif samples != 1 or photometric != "MONOCHROME2":
        raise ScanError(path, f"its pixels are {_word(photometric)}, not MONOCHROME2", "export it as plain grey")
    if not whole(instance, "Rows") or not whole(instance, "Columns"):
        raise ScanError(path, "has no Rows or Columns", AGAIN)
    if instance.syntax in NATIVE:
        return
    syntax = UID(instance.syntax)
    if not (syntax.is_transfer_syntax and syntax.is_compressed):
        raise ScanError(path, "its transfer syntax is unknown", "export it in a standard one, such as Explicit VR Little Endian")


def pixels(instance: Instance, stored: bytes, indices: Sequence[int], reading: Reading) -> Iterator[np.ndarray]:
    """Yield these frames (rows, columns) of a file, of which `stored` is the content, as the numbers that it stores.

    Raises `ScanError` for pixels that are cut short, of another size than the header says, or that cannot be decoded.
    """
    path = instance.path
    native = instance.syntax in NATIVE
    if instance.syntax == DeflatedExplicitVRLittleEndian:
        _check_size(instance, len(stored))
        stored = inflate(stored, instance.offset + declared(instance) + 64)
    tag, length, begin = _element(instance, stored)
    if tag not in ELEMENTS:
        raise ScanError(path, "has no pixels", "leave it out, or export it again")
    dtype = _dtype(instance, tag)
    if native == (length is None):
        raise ScanError(path, "its pixels cannot be decoded (not of the transfer syntax that it names)", AGAIN)
    rows, columns = whole(instance, "Rows"), whole(instance, "Columns")
    frame = rows * columns * dtype.itemsize
    if not native:
        _check_size(instance, len(stored) - begin)
        _check_fragments(instance, stored, begin)
        for array in _decoded(instance, stored, indices):
            if array.shape != (rows, columns):
                raise ScanError(path, "its pixels cannot be decoded (their size is not what its header says)", AGAIN)
            yield _within_bits(instance, array, reading)
        return
    needed = frame * (whole(instance, "NumberOfFrames") or 1)
    if min(length or 0, len(stored) - begin) < needed:
        raise ScanError(path, "its pixels cannot be decoded (they are cut short)", AGAIN)
    if (length or 0) > needed + needed % 2:
        raise ScanError(path, "its pixels cannot be decoded (there are more than its header says)", AGAIN)
    for index in indices:
        array = np.frombuffer(stored, dtype, rows * columns, begin + index * frame).reshape(rows, columns)
        yield _within_bits(instance, array, reading)


def declared(instance: Instance) -> int:
    """Return how many bytes of pixels a header declares."""
    frame = whole(instance, "Rows") * whole(instance, "Columns") * (whole(instance, "BitsAllocated") // 8)
    return frame * (whole(instance, "NumberOfFrames") or 1)


def _check_size(instance: Instance, stored: int) -> None:
    limit = 64 * stored if instance.syntax == RLELossless else max(BOMB, RATIO * stored)
    if declared(instance) > limit:
        reason = f"declares {declared(instance) >> 20} MB of pixels but holds {stored >> 10} kB"
        raise ScanError(instance.path, reason, "its header is wrong; export it again")


def _check_fragments(instance: Instance, stored: bytes, begin: int) -> None:
    """Raise `ScanError` unless the fragments of compressed pixels (PS3.5 A.4) go on to their end mark."""
    while stored[begin : begin + 4] == b"\xfe\xff\x00\xe0":
        begin += 8 + int.from_bytes(stored[begin + 4 : begin + 8], "little")
    if stored[begin : begin + 4] != b"\xfe\xff\xdd\xe0":
        raise ScanError(instance.path, "its pixels cannot be decoded (they are cut short)", AGAIN)


def _word(code: str) -> str:
    """Return a PhotometricInterpretation as it may be shown: a word that is not defined might name a patient."""
    return code if code in PHOTOMETRIC else "of unknown kind"


def _element(instance: Instance, stored: bytes) -> tuple[tuple[int, int], int | None, int]:
    """Return tag, length (None: undefined) and beginning of the pixel element's value."""
    implicit, little = instance.ds.original_encoding
    order = "little" if little else "big"
    at = instance.offset
    tag = (int.from_bytes(stored[at : at + 2], order), int.from_bytes(stored[at + 2 : at + 4], order))  # type: ignore[arg-type]
    skip = 4 if implicit else 8
    length = int.from_bytes(stored[at + skip : at + skip + 4], order)  # type: ignore[arg-type]
    return tag, None if length == 0xFFFFFFFF else length, at + skip + 4


def _dtype(instance: Instance, tag: tuple[int, int]) -> np.dtype:
    path = instance.path
    allocated, bits = whole(instance, "BitsAllocated"), whole(instance, "BitsStored")
    kind = ELEMENTS[tag].get(allocated)
    if kind is None:
        raise ScanError(path, f"its pixels have {allocated} bits allocated", "export it with 8, 16 or 32 bits")
    order = ">" if instance.syntax == ExplicitVRBigEndian else "<"
    if kind[0] == "f":
        return np.dtype(order + kind)
    sign = text(instance, "PixelRepresentation")
    if sign not in ("0", "1"):
        raise ScanError(path, "has no PixelRepresentation (signed or unsigned)", AGAIN)
    if not 0 < bits <= allocated or (text(instance, "HighBit") or str(bits - 1)) != str(bits - 1):
        raise ScanError(path, "its BitsStored, BitsAllocated and HighBit do not fit together", "export it again")
    return np.dtype(f"{order}{'i' if sign == '1' else 'u'}{kind}")


def _within_bits(instance: Instance, array: np.ndarray, reading: Reading) -> np.ndarray:
    """Return the numbers within BitsStored: what lies above it is an overlay, or the header is wrong."""
    allocated, bits = whole(instance, "BitsAllocated"), whole(instance, "BitsStored")
    if bits == allocated or array.dtype.kind == "f":
        return array
    low, high = int(array.min()), int(array.max())
    signed = array.dtype.kind == "i"
    if (-(1 << bits - 1) <= low and high < 1 << bits - 1) if signed else high < 1 << bits:
        return array
    overlay = any((group, 0x0102) in instance.ds and instance.ds[group, 0x0102].value for group in range(0x6000, 0x601F, 2))
    if not overlay and not (signed and low >= 0 and high < 1 << bits):  # else: negative numbers without their upper bits
        reason = "its pixels hold bits above BitsStored"
        reading.doubt(instance.path, reason, "export it again", "they are cut off")
    lift = allocated - bits
    return (array << lift) >> lift


def _decoded(instance: Instance, stored: bytes, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the frames of compressed pixels."""
    path, syntax = instance.path, UID(instance.syntax)
    try:
        decoder = pydicom.pixels.get_decoder(syntax)
    except NotImplementedError:
        raise ScanError(path, f"is compressed as {syntax.name}, which is not supported", "export it uncompressed") from None
    available = [name for name in DECODERS if name in decoder.available_plugins] or list(decoder.available_plugins)
    missing = [word.split()[-1].split(">")[0] for word in decoder.missing_dependencies if word.startswith("pylibjpeg")]
    remedy = f"pip install medgen[codecs] ({missing[0]})" if missing else "export it again"
    if not available:
        raise ScanError(path, f"is compressed as {syntax.name} and no decoder is installed", remedy)
    last: Exception | None = None
    done = 0
    for plugin in available:
        try:
            for array in iter_pixels(BytesIO(stored), indices=indices[done:], raw=True, decoding_plugin=plugin):
                done += 1
                yield array
            return
        except Exception as error:  # noqa: BLE001  decoders raise many types for broken pixels
            last = error
    reason = f"its pixels cannot be decoded ({syntax.name}, {type(last).__name__})"
    raise ScanError(path, reason, f"export it again, or {remedy}" if missing else remedy)
