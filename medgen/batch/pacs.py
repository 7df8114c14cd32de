"""Scans from and to a PACS: C-ECHO, C-STORE, C-FIND with C-GET or C-MOVE (PS3.4 annexes A, B, C) through pynetdicom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom import uid as uids
from pydicom.dataset import Dataset

from medgen.batch.association import SUCCESS, Pacs, PacsError, associated, check, listening, names
from medgen.scans.dicom_parsing import silent
from medgen.scans.whole import whole_folder

#: What is fetched: the volumes that `read` may know, as they are stored or, where the PACS wants, uncompressed.
CT_AND_MR = (
    uids.CTImageStorage, uids.MRImageStorage, uids.EnhancedCTImageStorage, uids.EnhancedMRImageStorage,
    uids.LegacyConvertedEnhancedCTImageStorage, uids.LegacyConvertedEnhancedMRImageStorage,
)  # fmt: skip
VOLUMES = (*CT_AND_MR, uids.PositronEmissionTomographyImageStorage, uids.SegmentationStorage)
SYNTAXES = [
    uids.ExplicitVRLittleEndian, uids.ImplicitVRLittleEndian, uids.JPEGLosslessSV1, uids.JPEGLossless,
    uids.JPEGLSLossless, uids.JPEG2000Lossless, uids.RLELossless, uids.JPEG2000, uids.JPEGBaseline8Bit,
]  # fmt: skip
VERIFICATION = "1.2.840.10008.1.1"
#: Study Root Query/Retrieve Information Model (PS3.4 C.4)
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
PENDING = (0xFF00, 0xFF01)


def echo(pacs: Pacs) -> None:
    """Check that the PACS answers (C-ECHO). Raises `PacsError` otherwise."""
    with associated(pacs, [(VERIFICATION, SYNTAXES[:2])]) as association:
        check(pacs, association.send_c_echo(), "does not answer C-ECHO")


@silent()
def send(pacs: Pacs, path: Path) -> int:
    """Store all DICOM files under a path (C-STORE) and return how many.

    All are looked at before the first is sent. Raises `PacsError` where there are none, one cannot be read, the PACS
    does not take their kind or compression, or refuses one.
    """
    kinds: dict[Path, tuple[str, str]] = {}
    for file in sorted([path] if path.is_file() else path.rglob("*")):
        if file.is_file() and not file.name.startswith(".") and _is_dicom(file):
            kinds[file] = _kind(file)
    kinds = {file: kind for file, kind in kinds.items() if kind[0] != uids.MediaStorageDirectoryStorage}
    if not kinds:
        raise PacsError(f"{path}: holds no DICOM files; give a folder of them")
    wanted = sorted(set(kinds.values()))
    if len(wanted) > 128:
        raise PacsError(f"{path}: holds {len(wanted)} kinds of files, more than 128; send its folders one by one")
    with associated(pacs, [(kind, [syntax]) for kind, syntax in wanted]) as association:
        taken = {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}
        for file, kind in kinds.items():
            if kind not in taken:
                raise PacsError(f"{file}: {pacs} does not take {names(*kind)}; convert it, or allow it there")
        for number, file in enumerate(kinds):
            try:
                status = association.send_c_store(pydicom.dcmread(file))
            except (OSError, ValueError, AttributeError, RuntimeError) as error:
                raise PacsError(f"{file}: cannot be sent ({type(error).__name__}); is the connection still up?") from None
            check(pacs, status, f"refused {file} ({number} of {len(kinds)} were stored)", warn_is_fine=True)
    return len(kinds)


@silent()
def fetch(
    pacs: Pacs, output: Path, *, study: str = "", series: str = "", patient: str = "", modality: str = "",
    listen: tuple[str, int] | None = None,
) -> list[Path]:  # fmt: skip
    """Fetch every matching series into a folder of its own under `output`, which appears whole or not at all.

    Args:
        study, series, patient: StudyInstanceUID, SeriesInstanceUID, PatientID; at least one of them, no wildcards.
        modality: only series of this modality, such as "MR".
        listen: address and port to receive on: C-MOVE to this side's AE title, which the PACS must know. By default
            C-GET, which needs no open port.

    Returns the folders, `series_001` and so on: nothing of the patient is in a name. Raises `PacsError` where nothing
    matches or not all of it comes, `ScanError` where `output` cannot be written to.
    """
    if not (study or series or patient) or any(character in study + series + patient for character in "*?\\"):
        raise PacsError("say what to fetch: a study, series or patient ID, without wildcards")
    if listen and not 0 < listen[1] < 65536:
        raise PacsError(f"cannot receive on {listen[0]}:{listen[1]}: a port is a number from 1 to 65535; choose another port")
    found = _find(pacs, study=study, series=series, patient=patient, modality=modality)
    if not found:
        raise PacsError(f"{pacs} has no such series; check the UIDs or the patient ID")
    with whole_folder(output, r"series_\d+/\d+\.dcm") as temporary:
        for number, key in enumerate(found, start=1):
            folder = temporary / f"series_{number:03}"
            folder.mkdir()
            received = _move(pacs, key, folder, listen) if listen else _get(pacs, key, folder)
            stored = sum(1 for _ in folder.iterdir())
            expected = int(key.get("NumberOfSeriesRelatedInstances") or received)
            if stored == 0 or stored < max(expected, received):
                raise PacsError(f"{pacs} sent {stored} of {max(expected, received)} images of a series; try again")
    return [output / f"series_{number:03}" for number in range(1, len(found) + 1)]


def _find(pacs: Pacs, *, study: str, series: str, patient: str, modality: str) -> list[Dataset]:
    """Return the matching series as keys to retrieve them by, sorted."""
    with associated(pacs, [(FIND, SYNTAXES[:2])]) as association:
        studies = [study] if study else []
        if not studies:
            query = _key("STUDY", PatientID=patient, StudyInstanceUID="")
            studies = [str(match.StudyInstanceUID) for match in _matches(pacs, association, query)]
        found = []
        for uid in sorted(set(studies)):
            query = _key("SERIES", StudyInstanceUID=uid, SeriesInstanceUID=series, Modality=modality)
            query.NumberOfSeriesRelatedInstances = None
            if patient and study:
                query.PatientID = patient
            for match in _matches(pacs, association, query):
                if series in ("", match.SeriesInstanceUID) and modality in ("", match.get("Modality", modality)):
                    key = _key("SERIES", StudyInstanceUID=uid, SeriesInstanceUID=str(match.SeriesInstanceUID))
                    key.NumberOfSeriesRelatedInstances = match.get("NumberOfSeriesRelatedInstances")
                    found.append(key)
    return sorted(found, key=lambda key: (str(key.StudyInstanceUID), str(key.SeriesInstanceUID)))


def _matches(pacs: Pacs, association: Any, query: Dataset) -> Iterator[Dataset]:
    for status, match in association.send_c_find(query, FIND):
        if status.get("Status") in PENDING and match is not None:
            yield match
        elif status.get("Status") not in PENDING:
            check(pacs, status, "refused the query")


def _get(pacs: Pacs, key: Dataset, folder: Path) -> int:
    from pynetdicom import build_role, evt

    contexts: list[tuple[str, Sequence[str]]] = [(GET, SYNTAXES[:2])]
    contexts += [(kind, [syntax]) for kind in VOLUMES for syntax in SYNTAXES]
    roles = [build_role(kind, scp_role=True) for kind in VOLUMES]
    handlers = [(evt.EVT_C_STORE, _keep, [folder, str(key.SeriesInstanceUID), itertools.count(1)])]
    with associated(pacs, contexts, roles=roles, handlers=handlers) as association:
        return _retrieved(pacs, association.send_c_get(_bare(key), GET))


def _move(pacs: Pacs, key: Dataset, folder: Path, listen: tuple[str, int]) -> int:
    series, numbers = str(key.SeriesInstanceUID), itertools.count(1)
    kinds: dict[str, Sequence[str]] = dict.fromkeys(VOLUMES, SYNTAXES)
    with (
        listening(listen, pacs.calling, kinds, lambda event: _keep(event, folder, series, numbers)),
        associated(pacs, [(MOVE, SYNTAXES[:2])]) as association,
    ):
        return _retrieved(pacs, association.send_c_move(_bare(key), pacs.calling, MOVE))


def _retrieved(pacs: Pacs, responses: Iterator[tuple[Dataset, Dataset | None]]) -> int:
    """Follow a C-GET or C-MOVE to its end and return how many images it says were sent."""
    status = Dataset()
    for response, _ in responses:
        status = response
    check(pacs, status, "did not send all images (does it know this AE title, and take its compression?)")
    return int(status.get("NumberOfCompletedSuboperations") or 0)


@silent()
def _keep(event: Any, folder: Path, series: str, numbers: Iterator[int]) -> int:
    """Store an image of the series as it came, in a file that is named by its number."""
    if str(event.dataset.get("SeriesInstanceUID", "")) != series:
        return 0xA900  # not what was asked for
    try:
        (folder / f"{next(numbers):05}.dcm").write_bytes(event.encoded_dataset())
    except OSError:
        return 0xA700  # out of resources (PS3.4 B.2.3)
    return SUCCESS


def _key(level: str, **keys: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def _bare(key: Dataset) -> Dataset:
    return _key("SERIES", StudyInstanceUID=key.StudyInstanceUID, SeriesInstanceUID=key.SeriesInstanceUID)


def _kind(file: Path) -> tuple[str, str]:
    """Return a file's SOP class and transfer syntax."""
    try:
        meta = pydicom.filereader.read_file_meta_info(file)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except Exception:  # noqa: BLE001  a broken header raises many types
        raise PacsError(f"{file}: is not a readable DICOM file; leave it out") from None


def _is_dicom(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as error:
        raise PacsError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
