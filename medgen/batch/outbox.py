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
        self._due = float("inf")
        troubles: list[str] = []
        with Ledger(self.output) as ledger:
            sent = ledger.sent(str(self.pacs))
            for row in ledger.rows():
                names, content = row.outputs.get("", [[], ""])[:2]
                folder = self.output / Path(names[0]).parent if names else self.output
                waits = row.state == "done" and row.bundle == self.bundle and sent.get(row.name) != content
                if not waits or not names[0].endswith(".dcm") or not folder.is_dir():  # it was moved away
                    continue
                try:
                    if not troubles:
                        scp.echo(self.pacs)
                    count = scp.send(self.pacs, folder)
                except PacsError as error:
                    troubles.append(str(error))
                    if "C-ECHO" in str(error) or "cannot be reached" in str(error):
                        break
                    continue
                ledger.enter_sent(row.name, str(self.pacs), content)
                event("sent", case=row.name, files=count, to=str(self.pacs))
                self._say(f"{row.name}: {count} files sent to {self.pacs}")
        if troubles:
            self._due = time.monotonic() + self.patience
            event("waiting", reason=troubles[0])
            if troubles[0] != self._told:
                self._say(f"not sent, is tried again: {troubles[0]}")
        self._told = troubles[0] if troubles else ""

    def _say(self, text: str) -> None:
        if self.console is not None:
            self.console.print(text, markup=False)
