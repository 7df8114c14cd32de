"""NRRD and MetaImage of the corpus: written by ITK, and by hand where ITK does not go."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from tests.scans.corpus import Entry, Truth
from tests.scans.phantoms import FAR, LOW, OBLIQUE, PLAIN, RAS, field, itk_image

SHAPE = (4, 5, 6)
ALONG = RAS @ np.diag([1.0, 2, 3, 1])  #: LPS
RIGHT = (Truth(PLAIN, SHAPE),)
VOLUMES = (0.0, 10.0, 20.0)
FOUR = (Truth(PLAIN, SHAPE, VOLUMES),)
Change = dict[str, str | None]


def numbers(
    affine: np.ndarray = PLAIN, dtype: str = "<f4", added: Sequence[float] = (0.0,), first: bool = False
) -> bytes:
    """Return a phantom's voxels as both formats store them, volumes last or `first` (that is, fastest)."""
    stack = np.stack([field(affine, SHAPE) + one for one in added])
    return (stack if first else np.moveaxis(stack, 0, -1)).astype(dtype).tobytes(order="F")


def vector(values: Sequence[float]) -> str:
    return f"({','.join(map(repr, map(float, values)))})"


def nrrd_header(affine: np.ndarray = PLAIN, **change: str | None) -> bytes:
    """Return a NRRD header of float32, little-endian, raw; `change` adds or replaces fields, _ for blank, None removes."""
    lps = RAS @ affine
    fields: Change = {
        "type": "float", "dimension": "3", "space": "left-posterior-superior", "sizes": "4 5 6",
        "space directions": " ".join(vector(lps[:3, axis]) for axis in range(3)), "kinds": "domain domain domain",
        "endian": "little", "encoding": "raw", "space origin": vector(lps[:3, 3]),
    }  # fmt: skip
    fields.update({name.replace("_", " "): value for name, value in change.items()})
    return b"NRRD0004\n# by hand\n" + "".join(f"{k}: {v}\n" for k, v in fields.items() if v is not None).encode()


def nrrd(
    affine: np.ndarray = PLAIN, data: bytes | None = None, pack: Callable[[bytes], bytes] = bytes,
    edit: Callable[[bytes], bytes] = bytes, **change: str | None,
) -> Callable[[Path], None]:  # fmt: skip
    """Return a maker of a .nrrd file."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        content = nrrd_header(affine, **change) + b"\n" + pack(numbers(affine) if data is None else data)
        (folder / "a.nrrd").write_bytes(edit(content))

    return make


def meta_header(affine: np.ndarray = PLAIN, **change: str | None) -> bytes:
    """Return a MetaImage header of float32, little-endian, raw; `change` adds or replaces fields, None removes."""
    lps = RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    fields: Change = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False", "TransformMatrix": " ".join(map(repr, map(float, (lps[:3, :3] / spacing).T.ravel()))),
        "Offset": " ".join(map(repr, map(float, lps[:3, 3]))), "ElementSpacing": " ".join(map(repr, map(float, spacing))),
        "DimSize": "4 5 6", "ElementType": "MET_FLOAT", **change,
    }  # fmt: skip
    fields["ElementDataFile"] = fields.pop("ElementDataFile", None) or "LOCAL"
    return "".join(f"{k} = {v}\n" for k, v in fields.items() if v is not None).encode()


def meta(
    affine: np.ndarray = PLAIN, data: bytes | None = None, pack: Callable[[bytes], bytes] = bytes,
    edit: Callable[[bytes], bytes] = bytes, **change: str | None,
) -> Callable[[Path], None]:  # fmt: skip
    """Return a maker of a .mha file."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        content = meta_header(affine, **change) + pack(numbers(affine) if data is None else data)
        (folder / "a.mha").write_bytes(edit(content))

    return make


def detached(header: str, content: bytes, **files: bytes) -> Callable[[Path], None]:
    """Return a maker of a header with its voxels in files beside it; a dot is written _."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / header).write_bytes(content)
        for name, data in files.items():
            (folder / name.replace("_", ".")).write_bytes(data)

    return make


def by_itk(name: str, image: Callable[[], sitk.Image], compressed: bool = False) -> Callable[[Path], None]:
    """Return a maker of a file that SimpleITK writes."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        sitk.WriteImage(image(), str(folder / name), compressed)

    return make


def right(make: Callable[[Path], None], *truths: Truth, **more: Any) -> Entry:
    return Entry(make, volumes=truths or RIGHT, **more)


def refused(reason: str, make: Callable[[Path], None], *permissive: Truth, **more: Any) -> Entry:
    return Entry(make, refused=reason, permissive=permissive, **more)


def four(dtype: str = "<f4", first: bool = False) -> bytes:
    return numbers(PLAIN, dtype, VOLUMES, first)


MATRIX4 = "-1 0 0 0 0 -1 0 0 0 0 1 0 0 0 0 1"
NAN = np.where(field(LOW, SHAPE) == 0, np.nan, field(LOW, SHAPE)).astype("<f4").tobytes(order="F")
DIRECTIONS = "(-1,0,0) (0,-2,0) (0,0,3)"
NONE_FIRST, NONE_LAST = f"none {DIRECTIONS}", f"{DIRECTIONS} none"
ITK_KINDS = {
    "u1": sitk.sitkUInt8, "i1": sitk.sitkInt8, "u2": sitk.sitkUInt16, "i2": sitk.sitkInt16, "u4": sitk.sitkUInt32,
    "i4": sitk.sitkInt32, "u8": sitk.sitkUInt64, "i8": sitk.sitkInt64, "f4": sitk.sitkFloat32, "f8": sitk.sitkFloat64,
}  # fmt: skip

BY_ITK = {
    **{
        f"by ITK/{name}{' compressed' if compressed else ''}": right(
            by_itk(name, lambda: itk_image(OBLIQUE), compressed), Truth(OBLIQUE, SHAPE)
        )
        for name in ("a.nrrd", "a.mha", "a.mhd")
        for compressed in (False, True)
    },
    **{
        f"by ITK/{name} of {code}": right(
            by_itk(name, lambda kind=kind: sitk.Cast(itk_image(LOW), kind)), Truth(LOW, SHAPE, tolerance=0)  # type: ignore[misc]
        )
        for name in ("a.nrrd", "a.mha")
        for code, kind in ITK_KINDS.items()
    },
    **{
        f"by ITK/{name}, {what}": refused(reason, by_itk(name, image))
        for name in ("a.nrrd", "a.mha")
        for what, image, reason in (
            ("vectors", lambda: sitk.Compose([itk_image(PLAIN)] * 3), "several values a voxel"),
            ("complex", lambda: sitk.RealAndImaginaryToComplex(itk_image(PLAIN), itk_image(PLAIN)), "several values a voxel"),
            ("2D", lambda: itk_image(PLAIN)[:, :, 0], "not a volume: shape 4x5"),
            ("4D", lambda: sitk.JoinSeries([itk_image(PLAIN)] * 2), r"4D|space directions"),
        )
    },
    "by ITK/4D MetaImage asked for": right(
        by_itk("a.mha", lambda: sitk.JoinSeries([itk_image(PLAIN) + one for one in VOLUMES])), *FOUR, four_d=True
    ),
}

NRRD = {
    "nrrd": right(nrrd(OBLIQUE), Truth(OBLIQUE, SHAPE)),
    **{
        f"space {space}": right(nrrd(RAS @ np.diag([*flips, 1]) @ PLAIN, data=numbers(), space=space))
        for space, flips in {"right-anterior-superior": (1, 1, 1), "left-anterior-superior": (-1, 1, 1), "RAS": (1, 1, 1),
                             "LAS": (-1, 1, 1), "LPS": (-1, -1, 1), "Left-Posterior-Superior": (-1, -1, 1)}.items()
    },
    "space missing": refused("no orientation", nrrd(space=None, space_dimension="3"), *RIGHT),
    "space scanner-xyz": refused("does not tell left from right", nrrd(space="scanner-xyz"), *RIGHT),
    "space 3D-right-handed": refused("does not tell left from right", nrrd(space="3D-right-handed"), *RIGHT),
    "space 3D-left-handed": refused("no anatomical space", nrrd(space="3D-left-handed")),
    "space with time": refused("no anatomical space", nrrd(space="right-anterior-superior-time")),
    "directions missing, spacings given": refused(
        "no space directions", nrrd(RAS @ PLAIN, data=numbers(), space="RAS", space_directions=None, spacings="1 2 3",
                                    space_origin=vector(PLAIN[:3, 3])), *RIGHT
    ),
    "directions and spacings missing": refused("no space directions", nrrd(space_directions=None)),
    "two directions": refused("space directions", nrrd(space_directions="(1,0,0) (0,1,0) none")),
    "directions of 2D": refused("space directions", nrrd(space_directions="(1,0) (0,1) (0,1)")),
    "directions not numbers": refused("space directions", nrrd(space_directions="(1,0,0) (0,x,0) (0,0,1)")),
    "directions NaN": refused("not a number", nrrd(space_directions="(nan,0,0) (0,1,0) (0,0,1)")),
    "directions of zero": refused("voxel size is zero", nrrd(space_directions="(0,0,0) (0,1,0) (0,0,1)")),
    "sheared": refused("sheared", nrrd(space_directions="(1,0.1,0) (0,1,0) (0,0,1)")),
    "origin missing": refused("no space origin", nrrd(affine=np.diag([1.0, 2, 3, 1]), space_origin=None),
                              Truth(np.diag([1.0, 2, 3, 1]), SHAPE)),
    "in metres": right(nrrd(np.diag([1e-3, 1e-3, 1e-3, 1]) @ PLAIN, data=numbers(), space_units='"m" "m" "m"')),
    "in microns": right(nrrd(np.diag([1e3, 1e3, 1e3, 1]) @ PLAIN, data=numbers(), space_units='"um" "um" "um"')),
    "in millimetres": right(nrrd(space_units='"mm" "mm" "mm"')),
    "in furlongs": refused("units of length", nrrd(space_units='"furlong" "furlong" "furlong"')),
    "in two units": refused("units of length", nrrd(space_units='"mm" "mm" "m"')),
    "big-endian": right(nrrd(data=numbers(dtype=">i2"), type="short", endian="big")),
    "no byte order": refused("no byte order", nrrd(endian=None)),
    "bytes need no byte order": right(nrrd(LOW, data=numbers(LOW, "i1"), type="int8", endian=None), Truth(LOW, SHAPE)),
    "gzip": right(nrrd(pack=gzip.compress, encoding="gzip")),
    "gz": right(nrrd(pack=gzip.compress, encoding="gz")),
    "bzip2, not packed": refused("compression is broken", nrrd(encoding="bz2")),
    "bzip2": right(nrrd(pack=bz2.compress, encoding="bzip2")),
    "text": right(nrrd(data=" ".join(map(str, field(PLAIN, SHAPE).ravel("F"))).encode(), encoding="ascii")),
    "text, cut short": refused("truncated", nrrd(data=b"1 2 3", encoding="text")),
    "text that is none": refused("not all numbers", nrrd(data=b"x " * 120, encoding="txt")),
    "text of too many numbers": refused("more bytes", nrrd(data=b"1 " * 121, encoding="txt")),
    "hex": refused("encoded in another way", nrrd(data=numbers().hex().encode(), encoding="hex")),
    "no encoding": refused("encoded in another way", nrrd(encoding=None)),
    "block type": refused("another type", nrrd(type="block", block_size="4")),
    "int64 beyond float32": right(nrrd(FAR, data=numbers(FAR, "<i8"), type="longlong"), Truth(FAR, SHAPE), warns="rounded"),
    "NaN": refused("holds 1 NaN", nrrd(LOW, data=NAN), Truth(LOW, SHAPE)),
    "cells, measurement frame, key values and CRLF": right(nrrd(
        centerings="cell cell cell", measurement_frame="(0,1,0) (1,0,0) (0,0,1)",
        edit=lambda content: content.replace(b"# by hand\n", b"# by hand\r\nkey:=left-anterior-superior: space\r\n"),
    )),
    "thickness, old min and labels": right(nrrd(thicknesses="1 1 9", old_min="0", labels='"x" "y" "z"', content="sizes: 9 9 9")),
    "one slice": right(nrrd(sizes="4 5 1", data=field(PLAIN, (4, 5, 1)).astype("<f4").tobytes("F")), Truth(PLAIN, (4, 5, 1))),
    "line and byte skip": right(nrrd(pack=lambda data: b"a line\nanother\n" + bytes(7) + data, line_skip="2", byte_skip="7")),
    "byte skip in gzip": right(nrrd(pack=lambda data: gzip.compress(bytes(7) + data), encoding="gzip", byteskip="7")),
    "byte skip from the end": right(nrrd(pack=lambda data: bytes(99) + data, byte_skip="-1")),
    "byte skip too far": refused("truncated", nrrd(byte_skip="9")),
    "byte skip below -1": refused("skips", nrrd(byte_skip="-5")),
    "line skip beyond the end": refused("truncated", nrrd(line_skip="99")),
    "4D, volumes last": refused(r"3 volumes \(4D\)", nrrd(
        data=four(), dimension="4", sizes="4 5 6 3", space_directions=NONE_LAST, kinds="domain domain domain time")),
    "4D, volumes last, asked for": right(nrrd(
        data=four(), dimension="4", sizes="4 5 6 3", space_directions=NONE_LAST, kinds="domain domain domain time",
    ), *FOUR, four_d=True),
    "4D, volumes first, asked for": right(nrrd(
        data=four(first=True), dimension="4", sizes="3 4 5 6", space_directions=NONE_FIRST, kinds="list domain domain domain",
    ), *FOUR, four_d=True),
    "4D, volumes in between": refused("along axis 2", nrrd(
        data=four(), dimension="4", sizes="4 3 5 6", space_directions="(1,0,0) none (0,1,0) (0,0,1)", kinds=None), four_d=True),
    "4D of one volume": right(nrrd(dimension="4", sizes="4 5 6 1", space_directions=NONE_LAST, kinds=None)),
    "4D of four directions": refused("space directions", nrrd(
        data=four(), dimension="4", sizes="4 5 6 3", space_directions=f"{DIRECTIONS} (0,0,1)", kinds=None), four_d=True),
    "vectors": refused("several values", nrrd(
        data=four(first=True), dimension="4", sizes="3 4 5 6", space_directions=NONE_FIRST, kinds="vector domain domain domain")),
    "RGB, 4D asked for": refused("several values", nrrd(
        data=four(first=True), dimension="4", sizes="3 4 5 6", space_directions=NONE_FIRST, kinds="RGB-color domain domain domain",
    ), four_d=True),
    "5D": refused("not a volume", nrrd(dimension="5", sizes="4 5 6 1 1")),
    "dimension and sizes disagree": refused("dimension and sizes", nrrd(dimension="4")),
    "a size of 0": refused("dimension and sizes", nrrd(sizes="4 0 6")),
    "a negative size": refused("dimension and sizes", nrrd(sizes="4 -5 6")),
    "sizes not numbers": refused("sizes", nrrd(sizes="4 5 x")),
    "a field twice": refused("twice", nrrd(edit=lambda content: content.replace(b"sizes", b"sizes: 4 5 6\nsizes", 1))),
    "one byte short": refused("truncated", nrrd(edit=lambda content: content[:-1])),
    "one byte more": refused("more bytes", nrrd(edit=lambda content: content + b"x")),
    "header cut short": refused("truncated inside its header", nrrd(edit=lambda content: content[:100])),
    "header without end": refused("no end|truncated|type of voxels", nrrd(edit=lambda content: content[:40] + b"x" * 2_000_000)),
    "gzip of a wrong checksum": refused("compression is broken", nrrd(
        pack=lambda data: gzip.compress(data)[:-8] + bytes(4) + gzip.compress(data)[-4:], encoding="gzip")),
    "gzip cut short": refused("cut short", nrrd(pack=lambda data: gzip.compress(data)[:-9], encoding="gzip")),
    "bzip2 cut short": refused("cut short", nrrd(pack=lambda data: bz2.compress(data)[:-9], encoding="bzip2")),
    "gzip that is none": refused("compression is broken", nrrd(encoding="gzip")),
    "larger than it is": refused("truncated", nrrd(sizes="400 500 600")),
    "32767 voxels along each axis": refused("truncated", nrrd(sizes="32767 32767 32767", encoding="gzip", pack=gzip.compress)),
    "32767 numbers of text along each axis": refused("truncated", nrrd(sizes="32767 32767 32767", encoding="text", data=b"1 " * 99)),
    "a bomb": refused("decompression bomb", nrrd(
        sizes="1000 1000 1000", encoding="bzip2", data=b"", pack=lambda data: bz2.compress(bytes(10_000_000)) * 400)),
    "detached voxels": right(detached("a.nhdr", nrrd_header(data_file="a.raw"), a_raw=numbers())),
    "voxels elsewhere": refused("not in one file beside it", detached("a.nrrd", nrrd_header(data_file="../in/a.raw"), a_raw=numbers())),
    "voxels at an absolute path": refused("not in one file beside it", detached("a.nrrd", nrrd_header(data_file="/etc/passwd"))),
    "voxels missing": refused("missing", detached("a.nrrd", nrrd_header(data_file="a.raw"))),
    "voxels in a list of files": refused("list of files", detached("a.nrrd", nrrd_header(data_file="LIST") + b"a.raw\n", a_raw=numbers())),
    "voxels in numbered files": refused("list of files", detached("a.nrrd", nrrd_header(data_file="a%d.raw 1 6 1"), a1_raw=b"")),
    "header .nrrd, voxels beside it": right(detached("a.nrrd", nrrd_header(data_file="./a b.raw"), **{"a b_raw": numbers()})),
    "empty": refused("not a readable NRRD", detached("a.nrrd", b"")),
    "other text": refused("not a readable NRRD", detached("a.nrrd", b"neither NRRD nor MetaImage")),
    "NRRD named .mha": right(detached("a.mha", nrrd_header() + b"\n" + numbers())),
}  # fmt: skip

META = {
    "meta": right(meta(OBLIQUE), Truth(OBLIQUE, SHAPE)),
    "no matrix lies along LPS": right(meta(ALONG, TransformMatrix=None), Truth(ALONG, SHAPE), warns="TransformMatrix"),
    "no offset": right(meta(np.diag([1.0, 2, 3, 1]), Offset=None), Truth(np.diag([1.0, 2, 3, 1]), SHAPE), warns="Offset"),
    "Position and Orientation": right(meta(
        edit=lambda content: content.replace(b"Offset", b"Position").replace(b"TransformMatrix", b"Orientation"))),
    "no spacing": refused("no voxel size", meta(PLAIN @ np.diag([1, 1 / 2, 1 / 3, 1]), ElementSpacing=None),
                          Truth(PLAIN @ np.diag([1, 1 / 2, 1 / 3, 1]), SHAPE)),
    "ElementSize for spacing": right(meta(ElementSpacing=None, ElementSize="1 2 3")),
    "spacing before size": right(meta(ElementSize="9 9 9")),
    "spacing of 0": refused("voxel size is zero", meta(ElementSpacing="0 2 3")),
    "negative spacing": refused("voxel size is zero", meta(ElementSpacing="-1 2 3")),
    "spacing NaN": refused("not a number", meta(ElementSpacing="nan 2 3")),
    "offset NaN": refused("not a number", meta(Offset="nan 2 3")),
    "two spacings": refused("ElementSpacing", meta(ElementSpacing="1 2")),
    "matrix sheared": refused("TransformMatrix|sheared", meta(TransformMatrix="1 0 0 0.3 0.95 0 0 0 1")),
    "matrix scaled": refused("TransformMatrix", meta(TransformMatrix="2 0 0 0 2 0 0 0 2")),
    "matrix of zeros": refused("TransformMatrix", meta(TransformMatrix="0 0 0 0 0 0 0 0 0")),
    "matrix NaN": refused("TransformMatrix", meta(TransformMatrix="nan 0 0 0 1 0 0 0 1")),
    "matrix of 2D": refused("TransformMatrix", meta(TransformMatrix="1 0 0 1")),
    "orientation told": right(meta(AnatomicalOrientation="LPI")),
    "orientation not told": right(meta(AnatomicalOrientation="???")),
    "orientation contradicts the matrix": refused("AnatomicalOrientation", meta(AnatomicalOrientation="RAI"), *RIGHT),
    "orientation of four letters": right(meta(AnatomicalOrientation="LPIx")),
    "in centimetres": refused("unit of length", meta(DistanceUnits="cm")),
    "in millimetres": right(meta(DistanceUnits="mm")),
    "big-endian": right(meta(data=numbers(dtype=">u2"), ElementType="MET_USHORT", BinaryDataByteOrderMSB="True")),
    "big-endian, older name": right(meta(
        data=numbers(dtype=">u2"), ElementType="MET_USHORT", BinaryDataByteOrderMSB=None, ElementByteOrderMSB="True")),
    "zlib": right(meta(pack=zlib.compress, CompressedData="True", CompressedDataSize="999")),
    "gzip": right(meta(pack=gzip.compress, CompressedData="True")),
    "zlib of a wrong checksum": refused("compression is broken", meta(
        pack=lambda data: zlib.compress(data)[:-4] + bytes(4), CompressedData="True")),
    "zlib cut short": refused("cut short", meta(pack=lambda data: zlib.compress(data)[:-5], CompressedData="True")),
    "zlib that is none": refused("compression is broken", meta(CompressedData="True")),
    "zlib and garbage": refused("compression is broken", meta(pack=lambda data: zlib.compress(data) + b"xx", CompressedData="True")),
    "text": refused("as text", meta(BinaryData="False")),
    "intensity scaled": refused("scales its values", meta(ElementToIntensityFunctionSlope="2")),
    "intensity scaled by 1": right(meta(ElementToIntensityFunctionSlope="1.0", ElementToIntensityFunctionOffset="0")),
    "three channels": refused("several values", meta(data=numbers() * 3, ElementNumberOfChannels="3")),
    "an array a voxel": refused("another type", meta(ElementType="MET_FLOAT_ARRAY")),
    "double beyond float32": right(meta(OBLIQUE, data=numbers(OBLIQUE, "<f8"), ElementType="MET_DOUBLE"),
                                   Truth(OBLIQUE, SHAPE), warns="rounded"),
    "NaN voxels": refused("holds 1 NaN", meta(LOW, data=NAN), Truth(LOW, SHAPE)),
    "one slice": right(meta(DimSize="4 5 1", data=field(PLAIN, (4, 5, 1)).astype("<f4").tobytes("F")), Truth(PLAIN, (4, 5, 1))),
    "2D": refused("not a volume", meta(NDims="2", DimSize="4 5")),
    "4D": refused(r"3 volumes \(4D\)", meta(
        data=four(), NDims="4", DimSize="4 5 6 3", TransformMatrix=MATRIX4, Offset="3 -5 -7 0", ElementSpacing="1 2 3 1")),
    "4D asked for": right(meta(
        data=four(), NDims="4", DimSize="4 5 6 3", TransformMatrix=MATRIX4, Offset="3 -5 -7 0", ElementSpacing="1 2 3 9",
    ), *FOUR, four_d=True),
    "4D turned into time": refused("no rotation of space", meta(
        data=four(), NDims="4", DimSize="4 5 6 3", TransformMatrix="0 0 0 1 0 1 0 0 0 0 1 0 1 0 0 0", Offset="0 0 0 0",
        ElementSpacing="1 2 3 9"), four_d=True),
    "no NDims": refused("NDims", meta(NDims=None)),
    "NDims and DimSize disagree": refused("DimSize", meta(NDims="4")),
    "a size of 0": refused("DimSize", meta(DimSize="4 0 6")),
    "a broken size": refused("DimSize", meta(DimSize="4 5.5 6")),
    "32767 voxels along each axis": refused("truncated", meta(DimSize="32767 32767 32767", CompressedData="True", pack=zlib.compress)),
    "a bomb": refused("decompression bomb", meta(
        DimSize="1000 1000 1000", CompressedData="True", data=b"", pack=lambda data: zlib.compress(bytes(50_000_000)) * 85)),
    "one byte short": refused("truncated", meta(edit=lambda content: content[:-1])),
    "one byte more": refused("more bytes", meta(edit=lambda content: content + b"x")),
    "header cut short": refused("truncated inside its header|line without", meta(edit=lambda content: content[:100])),
    "header without voxels": refused("truncated", meta(data=b"")),
    "a field twice": refused("twice", meta(edit=lambda content: content.replace(b"DimSize", b"DimSize = 4 6 5\nDimSize"))),
    "a line without =": refused("line without =", meta(edit=lambda content: content.replace(b"DimSize", b"hello\nDimSize"))),
    "another object": refused("another MetaIO object", meta(ObjectType="Tube")),
    "header size": right(meta(edit=lambda content: content.replace(b"= LOCAL\n", b"= LOCAL\n" + bytes(350 - content.index(b"LOCAL\n") - 6)),
                              HeaderSize="350")),
    "header size inside the header": refused("HeaderSize", meta(HeaderSize="5")),
    "detached": right(detached("a.mhd", meta_header(ElementDataFile="a.raw"), a_raw=numbers())),
    "detached, header size": right(detached("a.mhd", meta_header(ElementDataFile="a.raw", HeaderSize="9"), a_raw=bytes(9) + numbers())),
    "detached, voxels at the end": right(detached(
        "a.mhd", meta_header(ElementDataFile="a.raw", HeaderSize="-1"), a_raw=bytes(99) + numbers())),
    "detached, missing": refused("missing", detached("a.mhd", meta_header(ElementDataFile="a.raw"))),
    "detached, elsewhere": refused("not in one file beside it", detached("a.mhd", meta_header(ElementDataFile="../a.raw"))),
    "detached, short": refused("truncated", detached("a.mhd", meta_header(ElementDataFile="a.raw"), a_raw=numbers()[:-1])),
    "detached, shared by the wrong header": refused("more bytes", detached(
        "a.mhd", meta_header(ElementDataFile="a.raw", DimSize="4 5 5"), a_raw=numbers())),
    "list of files": refused("list of files", detached("a.mhd", meta_header(ElementDataFile="LIST") + b"a.raw\n", a_raw=numbers())),
    "numbered files": refused("list of files", detached("a.mhd", meta_header(ElementDataFile="a%d.raw 1 6 1"), a1_raw=b"")),
    "empty": refused("not a readable", detached("a.mha", b"")),
    "other text": refused("not a readable", detached("a.mha", b"neither NRRD nor MetaImage")),
}  # fmt: skip

ENTRIES: dict[str, Entry] = {
    **{f"itk/{name}": one for name, one in BY_ITK.items()},
    **{f"itk/nrrd, {name}": one for name, one in NRRD.items()},
    **{f"itk/meta, {name}": one for name, one in META.items()},
}
