"""NIfTI of the corpus: every geometry, type and unit; headers that lie; files that are cut, padded, packed or renamed."""

from __future__ import annotations

import gzip
import itertools
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tests.scans.corpus import Entry, Truth
from tests.scans.phantoms import FAR, LOW, OBLIQUE, PLAIN, SECRETS, field, nifti_affine, nifti_image, turned

Edit = Callable[[bytes], bytes]

SHAPE = (4, 5, 6)
RIGHT = (Truth(PLAIN, SHAPE),)
GRID = np.diag([1.0, 2, 3, 1])  #: what the voxel size alone gives
LARGE = np.diag([1000.0, 2000, 3000, 1])


def entry(
    *edits: Edit,
    name: str = "a.nii",
    image: Callable[[], nib.Nifti1Image] = lambda: nifti_image(PLAIN),
    right: tuple[Truth, ...] = (),
    **outcome: Any,
) -> Entry:
    """Return an entry of one file: the bytes of an image, as they are after all edits."""

    def make(folder: Path) -> None:
        content = image().to_bytes()
        for edit in edits:
            content = edit(content)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return Entry(make, volumes=() if "refused" in outcome else right or RIGHT, **outcome)


def patch(offset: int, form: str, *values: float) -> Edit:
    """Overwrite fields of a little-endian header, as `struct` packs them."""

    def edit(content: bytes) -> bytes:
        changed = bytearray(content)
        struct.pack_into(f"<{form}", changed, offset, *values)
        return bytes(changed)

    return edit


def phantom(affine: np.ndarray = PLAIN, shape: tuple[int, ...] = SHAPE, **header: Any) -> Callable[[], nib.Nifti1Image]:
    return lambda: nifti_image(affine, shape, **header)


def values(array: Any, dtype: Any = np.float32, affine: np.ndarray = PLAIN) -> Callable[[], nib.Nifti1Image]:
    """Return a maker of an image with other voxels."""
    return lambda: nib.Nifti1Image(np.asarray(array, dtype=dtype), affine, dtype=dtype)


def forms(sform: np.ndarray, qform: np.ndarray, codes: tuple[int, int] = (1, 1)) -> Callable[[], nib.Nifti1Image]:
    """Return a maker of a phantom on the sform's grid with a qform of its own."""

    def make() -> nib.Nifti1Image:
        image = nifti_image(sform, sform=codes[0])
        image.set_qform(qform, code=codes[1])
        return image

    return make


def scaled(dtype: str, slope: float, inter: float) -> Callable[[], nib.Nifti1Image]:
    """Return a maker of a phantom that is stored scaled."""

    def make() -> nib.Nifti1Image:
        stored = (field(PLAIN, SHAPE) - inter) / slope
        image = nib.Nifti1Image((np.rint(stored) if dtype[0] in "iu" else stored).astype(dtype), PLAIN)
        image.header.set_slope_inter(slope, inter)
        return image

    return make


def in_unit(
    unit: str, millimetres: float, codes: tuple[int, int] = (1, 1), affine: np.ndarray = PLAIN
) -> Callable[[], nib.Nifti1Image]:
    """Return a maker of a phantom whose lengths are in another unit, with a time unit beside it."""

    def make() -> nib.Nifti1Image:
        image = nifti_image(affine)
        for form, code in zip((image.set_sform, image.set_qform), codes):
            form(np.diag([1 / millimetres] * 3 + [1]) @ affine, code=code)
        image.header.set_xyzt_units(unit, "msec")
        return image

    return make


def big_endian(kind: type[nib.Nifti1Image], dtype: Any) -> Callable[[], nib.Nifti1Image]:
    def make() -> nib.Nifti1Image:
        image = nifti_image(PLAIN, dtype=dtype, kind=kind)
        return kind(np.asarray(image.dataobj), PLAIN, header=image.header.as_byteswapped(">"))

    return make


def volumes(*added: float) -> Callable[[], nib.Nifti1Image]:
    """Return a maker of a 4D phantom, to each volume of which another number is added."""
    return values(np.stack([field(PLAIN, SHAPE) + one for one in added], axis=-1))


def extended(content: bytes) -> bytes:
    """Put two extensions with a patient's name before the voxels."""
    body = " ".join(SECRETS).encode().ljust(88)
    extension = struct.pack("<2i", 96, 4) + body + struct.pack("<2i", 96, 6) + body
    return patch(108, "f", 352 + 192)(content[:348] + b"\1\0\0\0" + extension + content[352:])


def with_zeros(count: int) -> Edit:
    """Compress a file and `count` MB of zeros after it; the stream is one block repeated, and its checksum is wrong."""

    def edit(content: bytes) -> bytes:
        packer = zlib.compressobj(9, wbits=31)
        start = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
        zeros = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
        return start + zeros * count + packer.flush()

    return edit


def size(*dimensions: int) -> Edit:
    """State another shape."""
    return patch(40, f"{len(dimensions) + 1}h", len(dimensions), *dimensions)


def many_orientations(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, affine in enumerate(ORIENTATIONS):
        nib.save(nifti_image(affine), folder / f"{number:02}.nii.gz")


def pair(kind: type, name: str = "a.hdr") -> Callable[[Path], None]:
    """Return a maker of a header and an image in files of their own."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        nib.save(kind(field(PLAIN, SHAPE).astype(np.float32), PLAIN), folder / "a.img")
        (folder / "a.hdr").rename(folder / name)

    return make


def mgz(folder: Path) -> None:
    folder.mkdir(parents=True)
    nib.save(nib.MGHImage(field(PLAIN, SHAPE).astype(np.float32), PLAIN), folder / "a.mgz")


def mirrored(affine: np.ndarray) -> np.ndarray:
    return np.diag([-1.0, 1, 1, 1]) @ affine


#: All ways to store one image: which axis goes where, and which way round.
ORIENTATIONS = [
    (PLAIN @ np.diag([*signs, 1.0]))[:, [*order, 3]]
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
SHEAR = np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
NAN = np.where(field(LOW, SHAPE) == 0, np.nan, field(LOW, SHAPE))
OTHER = nifti_affine(turned(z=10))

GEOMETRY = {
    "48 storage orientations": Entry(many_orientations, tuple(Truth(affine, SHAPE) for affine in ORIENTATIONS)),
    "oblique": entry(image=phantom(OBLIQUE), right=(Truth(OBLIQUE, SHAPE),)),
    "sform alone": entry(image=phantom(OBLIQUE, sform=4, qform=0), right=(Truth(OBLIQUE, SHAPE),)),
    "qform alone": entry(image=phantom(OBLIQUE, sform=0, qform=1), right=(Truth(OBLIQUE, SHAPE),)),
    "qform alone, qfac 0 is 1": entry(patch(76, "f", 0), image=phantom(sform=0)),
    "qform alone, left-handed": entry(image=phantom(mirrored(PLAIN), sform=0), right=(Truth(mirrored(PLAIN), SHAPE),)),
    "left-handed": entry(image=phantom(mirrored(OBLIQUE)), right=(Truth(mirrored(OBLIQUE), SHAPE),)),
    "a sform of code 0 does not count": entry(patch(280, "12f", *range(12)), patch(254, "h", 0)),
    "forms turned": entry(image=forms(PLAIN, OTHER), warns="sform and qform lie"),
    "forms shifted": entry(patch(268, "f", 40), warns="sform and qform lie"),
    "forms of other spacing": entry(patch(80, "3f", 1.2, 2.4, 3.6), warns="sform and qform lie"),
    "forms equal but for rounding": entry(patch(268, "f", -3.0001)),
    "forms disagree on left and right": entry(
        image=forms(PLAIN, mirrored(PLAIN)), refused="disagree on left and right", permissive=RIGHT
    ),
    "forms disagree, the qform does not count": entry(image=forms(PLAIN, mirrored(PLAIN), (1, 0))),
    "codes 0": entry(
        patch(252, "2h", 0, 0), image=phantom(GRID), refused="no orientation", permissive=(Truth(GRID, SHAPE),)
    ),
    "codes below 0": entry(patch(252, "2h", -1, -1), patch(80, "f", 0), refused="no orientation"),
    "codes 0, no voxel size": entry(patch(252, "2h", 0, 0), patch(80, "f", np.nan), refused="no orientation"),
    "stale pixdim": entry(patch(80, "3f", 1, 1, 1), image=phantom(qform=0), warns="pixdim"),
    "pixdim of 0 beside a sform": entry(patch(80, "3f", 0, 0, 0), warns="qform is broken"),
    "negative pixdim beside a sform": entry(patch(80, "f", -1), image=phantom(qform=0), warns="pixdim"),
    "pixdim of 0, qform alone": entry(patch(84, "f", 0), image=phantom(sform=0), refused="qform"),
    "negative pixdim, qform alone": entry(patch(84, "f", -2), image=phantom(sform=0), refused="qform"),
    "pixdim not a number, qform alone": entry(patch(84, "f", np.nan), image=phantom(sform=0), refused="qform"),
    "broken quaternion, qform alone": entry(patch(256, "3f", 3, 3, 3), image=phantom(sform=0), refused="qform"),
    "broken quaternion beside a sform": entry(patch(256, "3f", 3, 3, 3), warns="qform is broken"),
    "sform of zeros": entry(patch(280, "12f", *[0] * 12), refused="voxel size is zero"),
    "sform not a number": entry(patch(280, "f", np.nan), refused="not a number"),
    "sform infinite": entry(patch(292, "f", np.inf), refused="not a number"),
    "sheared": entry(image=phantom(PLAIN @ SHEAR, qform=0), refused="sheared"),
    "millimetres, and a unit of time": entry(image=in_unit("mm", 1)),
    "metres": entry(image=in_unit("meter", 1000)),
    "microns": entry(image=in_unit("micron", 0.001)),
    "microns, qform alone": entry(image=in_unit("micron", 0.001, (0, 1))),
    "no unit is mm": entry(image=in_unit("unknown", 1)),
    "unit in doubt": entry(image=in_unit("meter", 1000, affine=LARGE), right=(Truth(LARGE, SHAPE),), warns="unusual"),
    "unknown unit": entry(patch(123, "B", 7), refused="unit of length"),
    "NIfTI-2": entry(image=phantom(kind=nib.Nifti2Image)),
    "big-endian": entry(image=big_endian(nib.Nifti1Image, np.int16)),
    "NIfTI-2, big-endian": entry(image=big_endian(nib.Nifti2Image, np.float64)),
    **{
        f"one voxel along axis {axis}": entry(image=phantom(shape=shape), right=(Truth(PLAIN, shape),))
        for axis, shape in enumerate([(1, 5, 6), (4, 1, 6), (4, 5, 1)])
    },
}  # fmt: skip

VOXELS = {
    **{
        f"type {dtype}": entry(image=phantom(LOW, dtype=np.dtype(dtype)), right=(Truth(LOW, SHAPE, tolerance=0),))
        for dtype in ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
    },
    "int64 beyond float32": entry(image=phantom(FAR, dtype=np.int64), right=(Truth(FAR, SHAPE),), warns="int64 .* rounded"),
    "uint32 beyond float32": entry(image=phantom(FAR, dtype=np.uint32), right=(Truth(FAR, SHAPE),), warns="uint32 .* rounded"),
    "float64 beyond float32": entry(image=phantom(OBLIQUE, dtype=np.float64), right=(Truth(OBLIQUE, SHAPE),), warns="rounded"),
    "float64 too large for float32": entry(image=values(np.full(SHAPE, 1e300), np.float64), refused="too large"),
    "NaN": entry(image=values(NAN, affine=LOW), refused="holds 1 NaN", permissive=(Truth(LOW, SHAPE),)),
    "infinite": entry(
        image=values(np.where(np.isnan(NAN), -np.inf, NAN), affine=LOW), refused="infinite", permissive=(Truth(LOW, SHAPE),)
    ),
    "slope 0 is no scaling": entry(patch(112, "2f", 0, 50)),
    "slope and intercept": entry(image=scaled("i2", 0.01, -20)),
    "slope of bytes": entry(image=scaled("u1", 0.5, 60), right=(Truth(PLAIN, SHAPE, tolerance=0.3),)),
    "negative slope": entry(image=scaled("i4", -0.5, 30)),
    "slope of floats": entry(image=scaled("f4", 3, 1)),
    "slope not a number": entry(patch(112, "2f", np.nan, 0), refused="scaling is no number", permissive=RIGHT),
    "slope infinite": entry(patch(112, "2f", np.inf, 0), refused="scaling is no number", permissive=RIGHT),
    "intercept not a number": entry(patch(112, "2f", 1, np.nan), refused="scaling is no number", permissive=RIGHT),
    "slope that goes beyond float32": entry(patch(112, "2f", 3e38, 0), refused="too large"),
    "RGB": entry(image=values(np.zeros(SHAPE, RGB), RGB), refused="colours"),
    "complex": entry(image=values(np.zeros(SHAPE), np.complex64), refused="complex"),
    "complex128": entry(image=values(np.zeros(SHAPE), np.complex128), refused="complex"),
    "float128": entry(patch(70, "2h", 1536, 128), lambda content: content + bytes(4 * 480), refused="128-bit"),
    "bool": entry(patch(70, "2h", 1, 1), refused="single bits"),
    "RGBA": entry(patch(70, "2h", 2304, 32), refused="colours"),
    "unknown type": entry(patch(70, "h", 1234), refused="unknown voxel type"),
    "type and bits disagree": entry(patch(72, "h", 16), refused="contradicts itself"),
    "label map by intent": entry(patch(68, "h", 1002), image=phantom(dtype=np.int16), warns="label map"),
    "statistic by intent": entry(patch(68, "h", 5), warns="statistic"),
    "4D": entry(image=volumes(0, 10, 20), refused=r"3 volumes \(4D\)"),
    "4D asked for": entry(image=volumes(0, 10, 20), four_d=True, right=(Truth(PLAIN, SHAPE, (0.0, 10.0, 20.0)),)),
    "4D asked for, 3D given": entry(four_d=True),
    "4D of one volume": entry(image=volumes(0)),
    "7D of one volume": entry(image=values(field(PLAIN, SHAPE).reshape((*SHAPE, 1, 1, 1, 1)))),
    "5D": entry(image=values(np.zeros((*SHAPE, 2, 3))), refused="vectors"),
    "vectors": entry(image=values(np.zeros((*SHAPE, 1, 3))), refused="vectors"),
    "vectors, 4D asked for": entry(image=values(np.zeros((*SHAPE, 1, 3))), refused="vectors", four_d=True),
    "2D": entry(image=values(np.zeros((4, 5))), refused="2D image of shape 4x5"),
    "1D": entry(image=values(np.zeros(7)), refused="1D image"),
}

FILES = {
    "gzip": entry(gzip.compress, name="a.nii.gz"),
    "gzip named .nii": entry(gzip.compress),
    "plain named .nii.gz": entry(name="a.nii.gz"),
    "suffix in capitals": entry(gzip.compress, name="A.NII.GZ"),
    "gzip of several members": entry(
        lambda content: b"".join(gzip.compress(content[i : i + 100]) for i in range(0, len(content), 100)), name="a.nii.gz"
    ),
    "gzip padded by zeros": entry(lambda content: gzip.compress(content) + bytes(1000), name="a.nii.gz"),
    "gzip and garbage": entry(lambda content: gzip.compress(content) + b"garbage", name="a.nii.gz", refused="compression is broken"),
    "gzip cut short": entry(lambda content: gzip.compress(content)[:-20], name="a.nii.gz", refused="cut short"),
    "gzip without its checksum": entry(lambda content: gzip.compress(content)[:-8], name="a.nii.gz", refused="cut short"),
    "gzip of a wrong checksum": entry(
        lambda content: gzip.compress(content)[:-8] + bytes(4) + gzip.compress(content)[-4:],
        name="a.nii.gz", refused="compression is broken",
    ),
    "gzip of a wrong size": entry(
        lambda content: gzip.compress(content)[:-4] + bytes(4), name="a.nii.gz", refused="compression is broken"
    ),
    "gzip within gzip": entry(gzip.compress, gzip.compress, name="a.nii.gz", refused="gzip within gzip"),
    "gzip of a truncated file": entry(lambda content: gzip.compress(content[:-1]), name="a.nii.gz", refused="truncated"),
    "one byte short": entry(lambda content: content[:-1], refused="truncated"),
    "no voxels": entry(lambda content: content[:352], refused="truncated"),
    "half a header": entry(lambda content: content[:200], refused="truncated inside its header"),
    "three bytes": entry(lambda content: content[:3], refused="truncated inside its header"),
    "empty": entry(lambda content: b"", refused="is empty"),
    "empty gzip": entry(lambda content: gzip.compress(b""), name="a.nii.gz", refused="is empty"),
    "text": entry(lambda content: b"no NIfTI at all " * 100, refused="not a NIfTI"),
    "NRRD named .nii": entry(lambda content: b"NRRD0004\n" + bytes(1000), refused="not a NIfTI file but NRRD"),
    "DICOM named .nii": entry(lambda content: bytes(128) + b"DICM" + bytes(1000), refused="not a NIfTI file but DICOM"),
    "trailing bytes": entry(lambda content: content + b"more", refused="more bytes"),
    "trailing bytes in gzip": entry(
        lambda content: gzip.compress(content + b"more"), name="a.nii.gz", refused="more bytes"
    ),
    "wrong magic": entry(patch(344, "4s", b"n+7\0"), refused="magic"),
    "NIfTI-2 after a transfer as text": entry(
        lambda content: content.replace(b"\r\n\x1a\n", b"\n\x1a\n\n", 1), image=phantom(kind=nib.Nifti2Image), refused="magic"
    ),
    "magic of a pair": entry(patch(344, "4s", b"ni1\0"), refused="header without its image"),
    "ANALYZE 7.5 named .nii": entry(patch(344, "4s", b""), refused="ANALYZE 7.5"),
    "pair": Entry(pair(nib.Nifti1Pair), refused="header without its image"),
    "pair, header named .nii": Entry(pair(nib.Nifti1Pair, "a.nii"), refused="header without its image"),
    "ANALYZE 7.5": Entry(pair(nib.AnalyzeImage), refused="ANALYZE 7.5"),
    "MGZ": Entry(mgz, refused="MGZ"),
    "MGZ named .nii.gz": entry(lambda content: gzip.compress(b"\0\0\0\1" + bytes(3) + b"\4"), name="a.nii.gz", refused="MGZ"),
    "offset inside the header": entry(patch(108, "f", 0), refused="vox_offset"),
    "offset not a number": entry(patch(108, "f", np.nan), refused="vox_offset"),
    "offset negative": entry(patch(108, "f", -352), refused="vox_offset"),
    "offset beyond the file": entry(patch(108, "f", 1e9), refused="truncated"),
    "offset too late": entry(patch(108, "f", 400), refused="truncated"),
    "offset too early": entry(
        patch(108, "f", 352), lambda content: content[:352] + bytes(48) + content[352:], refused="more bytes",
    ),
    "offset before the extensions": entry(extended, patch(108, "f", 352), refused="extension"),
    "extensions": entry(extended),
    "extensions in gzip": entry(extended, gzip.compress, name="a.nii.gz"),
    "an extension of impossible length": entry(extended, patch(352, "i", 99999), refused="extension"),
    "room before the voxels": entry(lambda content: patch(108, "f", 400)(content[:352] + bytes(48) + content[352:])),
    "a size of 0": entry(size(4, 0, 6), refused="header is broken"),
    "a negative size": entry(size(4, -5, 6), refused="header is broken"),
    "no dimensions": entry(size(), refused="header is broken"),
    "nine dimensions": entry(patch(40, "h", 9), refused="header is broken"),
    "larger than it is": entry(size(400, 500, 600), refused="truncated"),
    "smaller than it is": entry(size(4, 5, 2), refused="more bytes"),
    "32767 voxels along each axis": entry(size(32767, 32767, 32767), refused="truncated"),
    "32767 voxels along each axis, gzip": entry(
        size(32767, 32767, 32767), gzip.compress, name="a.nii.gz", refused="truncated"
    ),
    "seven axes of 32767": entry(size(*[32767] * 7), refused="vectors"),
    "a bomb that says so": entry(
        size(1000, 1000, 1000), with_zeros(4000), name="a.nii.gz", refused="decompression bomb"
    ),
    "a bomb that does not": entry(with_zeros(4000), name="a.nii.gz", refused="more bytes"),
}  # fmt: skip

ENTRIES: dict[str, Entry] = {f"nifti/{name}": one for name, one in {**GEOMETRY, **VOXELS, **FILES}.items()}
