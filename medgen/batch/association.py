"""One association with a PACS (PS3.8): open it as asked, release it, and put what goes wrong into one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom import uid as uids
from pydicom.dataset import Dataset

EXTRA = "pip install medgen[dicom]"
SUCCESS = 0x0000


class PacsError(Exception):
    """A PACS cannot be reached or says no: which one, what is wrong, what to do, in one line without patient data."""


@dataclass(frozen=True)
class Pacs:
    """A PACS and how to call it. A user name and password come from MEDGEN_PACS_USER and MEDGEN_PACS_PASSWORD only."""

    host: str
    port: int
    called: str  #: the PACS's AE title
    calling: str = "MEDGEN"  #: this side's AE title
    timeout: float = 30.0  #: seconds without an answer

    def __str__(self) -> str:
        """Return the address, for messages."""
        return f"{self.called} at {self.host}:{self.port}"


@contextmanager
def associated(
    pacs: Pacs, contexts: Sequence[tuple[str, Sequence[str]]], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
) -> Iterator[Any]:
    """Open an association and release it; a `PacsError` where the PACS is not there or refuses."""
    try:
        from pynetdicom import AE, evt
        from pynetdicom.pdu import A_ASSOCIATE_RJ
        from pynetdicom.pdu_primitives import UserIdentityNegotiation
    except ImportError:
        raise PacsError(f"talking to a PACS needs pynetdicom; {EXTRA}") from None
    if not 0 < pacs.port < 65536:  # pynetdicom would fail in a thread of its own
        raise PacsError(f"{pacs}: a port is a number from 1 to 65535; check the options")
    try:
        ae = AE(ae_title=pacs.calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = pacs.timeout
        for kind, syntaxes in contexts:
            ae.add_requested_context(kind, list(syntaxes))
        negotiation = list(roles)
        user, password = os.environ.get("MEDGEN_PACS_USER"), os.environ.get("MEDGEN_PACS_PASSWORD", "")
        if user:
            who = UserIdentityNegotiation()
            who.user_identity_type, who.primary_field = (2 if password else 1), user.encode()
            if password:
                who.secondary_field = password.encode()
            negotiation.append(who)
        answers: list[Any] = []  # a PACS that refuses and hangs up at once looks to pynetdicom 3.0.4 like one that is not there
        listened: list[Any] = [*handlers, (evt.EVT_PDU_RECV, lambda event: answers.append(event.pdu))]
        association = ae.associate(pacs.host, pacs.port, ae_title=pacs.called, ext_neg=negotiation, evt_handlers=listened)
    except OSError as error:
        raise PacsError(f"{pacs} cannot be reached ({error.strerror}); check host, port and firewall") from None
    except (ValueError, TypeError):
        raise PacsError(f"{pacs}: not an address, or an AE title of more than 16 characters; check the options") from None
    if not association.is_established:
        if any(isinstance(answer, A_ASSOCIATE_RJ) for answer in answers):
            raise PacsError(f"{pacs} refused the association; check the AE titles, its list of known AEs, and the user")
        if association.acceptor.primitive is None:
            raise PacsError(f"{pacs} cannot be reached; check host, port and firewall")
        raise PacsError(f"{pacs} does not take {names(contexts[0][0], contexts[0][1][0])}; allow it there")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


@contextmanager
def listening(
    listen: tuple[str, int], aet: str, contexts: Mapping[str, Sequence[str]], store: Callable[[Any], int]
) -> Iterator[Any]:
    """Listen on an address and port, under an AE title, while `store` answers each C-STORE with a status.

    Args:
        contexts: the transfer syntaxes to take, by SOP class.

    Raises `PacsError` where the address is taken, or is none.
    """
    try:
        from pynetdicom import AE, evt
    except ImportError:
        raise PacsError(f"talking to a PACS needs pynetdicom; {EXTRA}") from None
    try:
        ae = AE(ae_title=aet)
        ae.require_called_aet = True
        for kind, syntaxes in contexts.items():
            ae.add_supported_context(kind, list(syntaxes))
        handlers: Any = [(evt.EVT_C_STORE, store)]
        server: Any = ae.start_server(listen, block=False, evt_handlers=handlers)
    except OSError as error:
        raise PacsError(f"cannot receive on {listen[0]}:{listen[1]} ({error.strerror}); choose another address or port") from None
    except (ValueError, TypeError):
        raise PacsError(f"{aet}: is no AE title, which has up to 16 characters; check the options") from None
    try:
        yield server
    finally:
        server.shutdown()


def check(pacs: Pacs, status: Dataset, what: str, warn_is_fine: bool = False) -> None:
    """Raise a `PacsError` that `what` went wrong, unless the status is success (or, if that is fine, a warning)."""
    code = status.get("Status")
    if code is None:
        raise PacsError(f"{pacs} {what}: it broke off or fell silent; check that it knows the AE title {pacs.calling}")
    if code != SUCCESS and not (warn_is_fine and 0xB000 <= code <= 0xBFFF):
        raise PacsError(f"{pacs} {what}: status 0x{code:04X}; look into its log")


def names(*wanted: str) -> str:
    """Return what UIDs stand for, such as "CT Image Storage as Explicit VR Little Endian"."""
    return " as ".join(uids.UID(uid).name for uid in wanted)
