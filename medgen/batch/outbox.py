"""Send the results of a bundle to a PACS: each is sent until it is taken, and then not again, which the ledger remembers."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from medgen.batch import pacs as scp
from medgen.batch.association import Pacs, PacsError
from medgen.batch.ledger import Ledger
from medgen.batch.logs import event


class Outbox:
    """What is to be sent: the DICOM series that the ledger of an output folder says are done.

    A PACS that is away or says no is asked again after `patience` seconds. Where the program is killed between the sending
    and the ledger, a series is sent twice, with the same UIDs.
    """

    def __init__(self, pacs: Pacs, output: Path, bundle: str, console: Console | None = None, patience: float = 60.0) -> None:
        self.pacs, self.output, self.bundle, self.console, self.patience = pacs, output, bundle, console, patience
        self._due = 0.0
        self._told = ""

    def send(self, new: bool = False) -> None:
        """Send what was not yet sent, if it is time, or something `new` is there and the PACS was not away.

        Raises `RunStopped` where the ledger cannot be written.
        """
        if time.monotonic() < self._due and not (new and not self._told):
            return
        self._due = time.monotonic() + self.patience
        troubles: list[str] = []
        with Ledger(self.output) as ledger:
            try:
                waiting = self._waiting(ledger)
                if waiting:
                    scp.echo(self.pacs)
            except PacsError as error:
                troubles, waiting = [str(error)], []
            for name, content, folder in waiting:
                try:
                    count = scp.send(self.pacs, folder)
                except PacsError as error:
                    troubles.append(str(error))
                    continue
                ledger.enter_sent(name, str(self.pacs), content)
                event("sent", case=name, files=count, to=str(self.pacs))
                self._say(f"{name}: {count} files sent to {self.pacs}")
        if not troubles:
            self._due, self._told = float("inf"), ""
            return
        event("waiting", reason=troubles[0])
        if troubles[0] != self._told:
            self._say(f"not sent, is tried again: {troubles[0]}")
        self._told = troubles[0]

    def _waiting(self, ledger: Ledger) -> list[tuple[str, str, Path]]:
        """Return name, hash of content and folder of each result that the PACS does not have and that is still there."""
        sent, waiting = ledger.sent(str(self.pacs)), []
        for row in ledger.rows():
            if row.bundle != self.bundle or row.state != "done":
                continue
            (file, *_), content, _ = row.outputs[""]
            folder = (self.output / file).parent
            if file.endswith(".dcm") and folder.is_dir() and sent.get(row.name) != content:
                waiting.append((row.name, content, folder))
        return waiting

    def _say(self, text: str) -> None:
        if self.console is not None:
            self.console.print(text, markup=False)
