"""DICOM files that are broken, that lie, or that lie about in folders with other things."""

from __future__ import annotations

import zlib
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
    generate_uid,
)

from tests.scans.corpus import Entry, Truth
from tests.scans.dicom_changes import AFFINE, RIGHT, Maker, each, one, renewed, same, written
from tests.scans.phantoms import save_series, series

REST = (Truth(AFFINE, (4, 6, 4)),)  #: what is left without the last slice

HIGHER = AFFINE.copy()
HIGHER[:3, 3] += 2 * AFFINE[:3, 2]
#: What splits a slice off, and how it is told.
SPLIT: dict[str, tuple[dict[str, object], str]] = {
    "orientation": ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "ImageOrientationPatient"),
    "series": ({"SeriesInstanceUID": "1.2.3"}, "SeriesInstanceUID"),
    "study": ({"StudyInstanceUID": "1.2.3"}, "StudyInstanceUID"),
    "frame of reference": ({"FrameOfReferenceUID": "1.2.3"}, "FrameOfReferenceUID"),
    "patient": ({"PatientID": "ID-4712"}, "PatientID"),
    "image type": ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAM"]}, "ImageType"),
    "echo time": ({"EchoTime": 7}, "EchoTime"),
}


def last(content: bytes | int, syntax: str = ExplicitVRLittleEndian) -> Maker:
    """Replace the last slice's content, or cut it to so many bytes (from its end where negative)."""

    def make(folder: Path) -> None:
        file = save_series(series(), folder, syntax)[-1]
        file.write_bytes(content if isinstance(content, bytes) else file.read_bytes()[:content])

    return make


def no_preamble(folder: Path, syntax: str, meta: bool) -> None:
    """Leave out the preamble and the DICM mark, and the file meta information too."""
    for path in save_series(series(), folder, syntax):
        content = path.read_bytes()
        start = 132 if meta else 144 + int.from_bytes(content[140:144], "little")
        path.write_bytes(content[start:])


def damaged_mark(folder: Path) -> None:
    """Damage the DICM mark of the last slice, in a folder whose files have no suffix: it must not be passed over."""
    file = save_series(series(), folder, names=["A", "B", "C", "D", "E"])[-1]
    content = file.read_bytes()
    file.write_bytes(content[:128] + b"DYCM" + content[132:])


def damaged_vr(keyword: str) -> Maker:
    """Damage the VR of a number of 16 bits in the last slice, so that it swallows what follows."""

    def make(folder: Path) -> None:
        file = save_series(series(), folder)[-1]
        element = Tag(keyword).group.to_bytes(2, "little") + Tag(keyword).element.to_bytes(2, "little")
        file.write_bytes(file.read_bytes().replace(element + b"US", element + b"UC"))

    return make


def named_syntax(uid: str) -> Maker:
    """Name another transfer syntax than the pixels have."""

    def make(folder: Path) -> None:
        word = uid.encode() + b"\0" * (len(uid) % 2)
        for path in save_series(series(), folder):
            content = path.read_bytes()
            meta = b"\2\0\x10\0UI" + len(word).to_bytes(2, "little") + word
            path.write_bytes(content[:132] + meta + content[144 + int.from_bytes(content[140:144], "little") :])

    return make


def directory(folder: Path) -> None:
    folder.mkdir(parents=True)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = MediaStorageDirectoryStorage, generate_uid()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.FileSetID, ds.DirectoryRecordSequence = "X", []
    pydicom.dcmwrite(folder / "DICOMDIR", ds, enforce_file_format=True)


def directory_beside(folder: Path) -> None:
    directory(folder)
    save_series(series(), folder / "IMAGES", names=["A", "B", "C", "D", "E"])


def rle_bomb(folder: Path) -> None:
    """Each file declares 8 GB, which its few bytes of RLE cannot hold."""
    slices = series()
    for ds in slices:
        ds.Rows = ds.Columns = 65535
        ds.PixelData = encapsulate([b"\2" + bytes(3) + b"\x40" + bytes(59) + b"\x81\0" * 2000])
    save_as(slices, folder, RLELossless)


def deflated_bomb(folder: Path) -> None:
    """One file of some kB inflates to 300 MB."""
    for path in save_series(series(), folder, DeflatedExplicitVRLittleEndian)[-1:]:
        content = path.read_bytes()
        start = 144 + int.from_bytes(content[140:144], "little")
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        plain = zlib.decompress(content[start:], -zlib.MAX_WBITS)
        packed = packer.compress(plain[: plain.rindex(b"\xe0\x7f\x10\x00")])
        packed += packer.compress(b"\xe0\x7f\x10\x00OW\0\0" + (300 << 20).to_bytes(4, "little"))
        packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
        path.write_bytes(content[:start] + packed)


def save_as(slices: list[Dataset], folder: Path, syntax: str) -> None:
    folder.mkdir(parents=True)
    for z, ds in enumerate(slices):
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
        pydicom.dcmwrite(folder / f"{z}.dcm", ds, enforce_file_format=True)


def in_folders(folder: Path) -> None:
    slices = series()
    save_series(slices[:2], folder / "one")
    save_series(slices[2:], folder / "two" / "three", names=["z2", "z3", "z4"])


def with_loops(folder: Path) -> None:
    save_series(series(), folder / "a")
    (folder / "b").mkdir()
    (folder / "b" / "to_a").symlink_to(folder / "a", target_is_directory=True)
    (folder / "a" / "to_b").symlink_to(folder / "b", target_is_directory=True)
    (folder / "a" / "self").symlink_to(folder / "a" / "self")
    (folder / "up").symlink_to(folder, target_is_directory=True)


def long_path(folder: Path) -> None:
    save_series(series(), folder.joinpath(*["a folder with quite a long name, again and again " * 4] * 12))


def other_letters(folder: Path) -> None:
    slices = series()
    for ds in slices:
        ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", "Üñí^山田"
    save_series(slices, folder / "Köpfe 山田 \u0007", names=[f"ß{z}" for z in range(5)])


ENTRIES: dict[str, Entry] = {
    "zero bytes": Entry(last(b""), REST, "not a readable DICOM file"),
    "text": Entry(last(b"this is no DICOM at all\n" * 50), REST, "not a readable DICOM file"),
    "noise": Entry(last(b"\x1f\x8b" + b"\0\xff" * 4000), REST, "not a readable DICOM file"),
    "cut in the preamble": Entry(last(100), REST, "not a readable DICOM"),
    "cut in the header": Entry(last(700), REST, "not a readable DICOM|no |only slice", warns="may lack slices"),
    **{f"the last slice alone has another {name}": Entry(
        written(one(4, **values)), REST, "only slice", warns="may lack slices: one that continues it differs in " + told)
       for name, (values, told) in SPLIT.items()},
    "the first 2 of 7 slices have another series number": Entry(
        written(lambda s: [*renewed(s[:2], SeriesNumber=9), *s[2:]], shape=(4, 6, 7)),
        (Truth(AFFINE, (4, 6, 2)), Truth(HIGHER, (4, 6, 5))), warns="differs in SeriesNumber"),
    "a class that is no UID, without rows": Entry(
        written(one(4, SOPClassUID="1.2.x", Rows="absent")), REST, "no Rows or Columns", warns="may lack slices"),
    "cut in the pixels": Entry(last(-10), refused="cut short"),
    "RLE cut in the pixels": Entry(last(-30, RLELossless), refused="cut short"),
    "deflated, cut": Entry(last(-30, DeflatedExplicitVRLittleEndian), refused="cut short|not a readable|no pixels"),
    "no preamble": Entry(lambda folder: no_preamble(folder, ExplicitVRLittleEndian, True), RIGHT),
    "no preamble nor meta, implicit": Entry(lambda folder: no_preamble(folder, ImplicitVRLittleEndian, False), RIGHT),
    "no preamble nor meta, explicit": Entry(lambda folder: no_preamble(folder, ExplicitVRLittleEndian, False), RIGHT),
    "a damaged mark, no suffix": Entry(damaged_mark, REST, "not a readable DICOM file"),
    "damaged Rows": Entry(damaged_vr("Rows"), REST, "Rows is not a whole number", warns="may lack slices"),
    "damaged SamplesPerPixel": Entry(damaged_vr("SamplesPerPixel"), REST, "is not a|only slice|no |of unknown kind", warns="may lack slices"),
    "unknown transfer syntax": Entry(named_syntax("1.2.3.4.5"), refused="transfer syntax is unknown"),
    "video": Entry(named_syntax("1.2.840.10008.1.2.4.102"), refused="not supported|cannot be decoded"),
    "named RLE, but not": Entry(named_syntax(RLELossless), refused="not of the transfer syntax"),
    "DICOMDIR alone": Entry(directory, refused="holds no scans"),
    "DICOMDIR beside": Entry(directory_beside, RIGHT),
    "65535 rows": Entry(written(each(Rows=65535, Columns=65535)), refused="cut short|declares"),
    "a million frames": Entry(written(each(NumberOfFrames=10**6)), refused="multi-frame"),
    "a million frames without groups": Entry(
        written(each(NumberOfFrames=10**6, PerFrameFunctionalGroupsSequence=[Dataset()])), refused="of 1000000 frames that describes 1"),
    "RLE bomb": Entry(rle_bomb, refused="declares"),
    "deflated bomb": Entry(deflated_bomb, volumes=(), refused="more than its header says|declares"),
    "one slice of other rows": Entry(written(one(Rows=12)), refused="missing|only slice|cut short"),
    "in several folders": Entry(in_folders, RIGHT),
    "link loops": Entry(with_loops, RIGHT),
    "long path": Entry(long_path, RIGHT),
    "other letters": Entry(other_letters, RIGHT),
    "plain": Entry(written(same), RIGHT),
}  # fmt: skip
