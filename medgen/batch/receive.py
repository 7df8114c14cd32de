"""Receive DICOM into a folder that is watched (C-STORE, PS3.4 annex B; C-ECHO): a folder for each series, a file an instance.

The names are hashes of UIDs: nothing of a patient is in them. An instance is acknowledged when it is on the disk.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medgen.batch.association import SUCCESS, Pacs, PacsError, listening
from medgen.batch.logs import event as log
from medgen.batch.pacs import CT_AND_MR, SYNTAXES, VERIFICATION
from medgen.scans import ScanError
from medgen.scans.dicom_parsing import silent
from medgen.scans.whole import remove_leftovers, whole_file

NOT_SUPPORTED, NOT_AUTHORIZED = 0x0122, 0x0124  #: PS3.7 C.5
NO_SPACE, MISMATCH, NOT_UNDERSTOOD = 0xA700, 0xA900, 0xC000  #: PS3.4 B.2.3


class Inbox:
    """Keep what is sent, and know which series are being sent.

    Args:
        folder: for a folder of each series.
        bundle: whose own results are refused, so that a PACS which forwards all that it gets makes no circle.
    """

    def __init__(self, folder: Path, bundle: str) -> None:
        self.folder, self.bundle = folder, bundle
        self._senders: dict[Path, set[threading.Thread]] = {}
        self._lock = threading.Lock()

    def is_open(self, folder: Path) -> bool:
        """Say whether an association still stands that sent an instance into this folder."""
        with self._lock:
            senders = {one for one in self._senders.pop(folder, ()) if one.is_alive()}
            if senders:
                self._senders[folder] = senders
        return bool(senders)

    def store(self, event: Any) -> int:
        """Return the status of a C-STORE request, whose instance is on the disk if that is success."""
        status = self._store(event)
        log("received" if status == SUCCESS else "refused", status=f"0x{status:04X}")
        return status

    def _store(self, event: Any) -> int:
        if event.request.AffectedSOPClassUID != event.context.abstract_syntax:
            return NOT_SUPPORTED
        try:
            with silent():
                ds = event.dataset
                kind, instance, series = (str(ds[key].value) for key in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"))
                maker = [str(ds.get(key, "")) for key in ("Manufacturer", "ManufacturerModelName")]
                content = event.encoded_dataset()
        except Exception:  # noqa: BLE001  a broken data set raises many types
            return NOT_UNDERSTOOD
        if not (instance and series):
            return NOT_UNDERSTOOD
        if (kind, instance) != (event.request.AffectedSOPClassUID, event.request.AffectedSOPInstanceUID):
            return MISMATCH
        if maker == ["medgen", self.bundle]:
            return NOT_AUTHORIZED
        folder = self.folder / _name(series)
        with self._lock:
            self._senders.setdefault(folder, set()).add(event.assoc)
        try:
            with whole_file(folder / f"{_name(instance)}.dcm") as temporary:
                temporary.write_bytes(content)
        except ScanError:
            return NO_SPACE
        return SUCCESS


@contextmanager
def receiving(folder: Path, listen: tuple[str, int], aet: str, bundle: str) -> Iterator[Inbox]:
    """Receive CT and MR into a folder, from whoever calls this AE title, until the end of the block.

    Raises `PacsError` where it is not possible to listen there.
    """
    for place in (folder, *(path for path in folder.glob("*") if path.is_dir())):
        remove_leftovers(place)
    inbox = Inbox(folder, bundle)
    kinds: dict[str, Sequence[str]] = dict.fromkeys(CT_AND_MR, SYNTAXES)
    with listening(listen, aet, {VERIFICATION: SYNTAXES[:2], **kinds}, inbox.store):
        yield inbox


def address(text: str) -> tuple[str, int]:
    """Read [HOST:]PORT; the host is 127.0.0.1 where none is said. Raises `PacsError`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise PacsError(f"{text}: is not [HOST:]PORT with a port from 1 to 65535, such as 11112 or 0.0.0.0:11112")
    return host.strip("[]") or "127.0.0.1", int(port)


def peer(text: str, calling: str) -> Pacs:
    """Read AET@HOST:PORT. Raises `PacsError`."""
    called, at, where = text.partition("@")
    if not (called and at and ":" in where):
        raise PacsError(f"{text}: is not AET@HOST:PORT, such as PACS@pacs.local:104")
    return Pacs(*address(where), called, calling)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:20]
