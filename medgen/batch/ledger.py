"""The ledger of an output folder: what is planned, running, done or failed; SQLite, shared by all runs on the folder.

A case is claimed by one atomic UPDATE and held by a living process: on this machine that is asked of the system (PID and
start), of another machine it is told by a count that grows every `BEAT` seconds. No clock of day is used, so none can harm.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.batch.ledger_file import NAME, TABLES, VERSION, Row, connect, row_of, set_journal
from medgen.batch.machine import is_network, kills, machine
from medgen.bundles import BundleError
from medgen.scans.process import identity, is_alive

if TYPE_CHECKING:
    from typing_extensions import Self

BEAT = 10.0  #: seconds between signs of life
SILENCE = 60.0  #: without a sign of life for so long, a process of another machine is dead
DEATHS = 2  #: a scan on which the system killed the program so often, for want of memory, is not tried again
FAR = "far-"  #: how the id of a worker begins that leads workers of other machines (`far`), whose processes cannot be seen from here
IN = "IN (SELECT value FROM json_each(?))"  #: in SQL, of a list

_OPEN: set[str] = set()  #: this process's workers: one that was closed on a full disk could not take itself out of the table


class RunStopped(BundleError):
    """A run cannot go on, through no fault of the case that it was at; what is done is kept."""


class Ledger:
    """An open ledger, and (but for who wants `only_read`) this process's place in it; may be used by several threads.

    Every method raises `RunStopped` where the ledger cannot be read or written (a full disk), `BundleError` when opened on a
    folder or a file that is no ledger.
    """

    def __init__(self, folder: Path, *, only_read: bool = False, far: bool = False) -> None:
        self.path, self.worker, self._only_read = folder / NAME, f"{FAR if far else ''}{uuid.uuid4().hex}", only_read
        self._heard: dict[str, tuple[int, float]] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        if only_read:
            self._sql = connect(self.path, only_read=True)
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BundleError(f"{folder}: cannot be written to ({error.strerror}); choose another output folder") from None
        self._sql = connect(self.path)
        with self._guarded():
            set_journal(self._sql, "DELETE" if is_network(folder) else "WAL")
            self._sql.execute("PRAGMA synchronous=FULL")  # what is told to be done stays done through a power cut
            self._sql.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={VERSION}; COMMIT")
            self._sql.execute("INSERT INTO workers VALUES (?, ?, ?, 0)", (self.worker, machine(), identity()))
        _OPEN.add(self.worker)
        self._heart.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what is held, and leave."""
        self._closing.set()
        _OPEN.discard(self.worker)
        if not self._only_read:
            self._heart.join()
            self._give_back()
        self._sql.close()

    def _give_back(self) -> None:
        with suppress(RunStopped), self._guarded():
            self._sql.execute("UPDATE cases SET state='planned', turn=turn+1 WHERE state='running' AND worker=?", (self.worker,))
            self._sql.execute("DELETE FROM workers WHERE id LIKE ? || '%'", (self.worker,))

    def lead(self, hands: int) -> None:
        """Tell how many workers this process leads: each counts as one for who asks how a run stands; of none, it has left."""
        with self._guarded():
            self._sql.execute("DELETE FROM workers WHERE id LIKE ? || ?", (self.worker, "/%" if hands else "%"))
            for number in range(1, hands):
                self._sql.execute("INSERT INTO workers VALUES (?, ?, ?, 0)", (f"{self.worker}/{number}", machine(), identity()))

    def plan(self, names: Iterable[tuple[str, str]], *, retry: bool = False, again: bool = False) -> None:
        """Enter cases that are new, by the names of result and bundle.

        Those that failed are planned anew to `retry`, all that is not running to do it `again`.
        """
        anew = [*(["failed"] if retry or again else []), *(["done"] if again else [])]
        reset = f"UPDATE cases SET state='planned', turn=turn+1, deaths=0 WHERE name=? AND state IN ({', '.join('?' * len(anew))})"
        with self._guarded(), self._at_once():
            for name, bundle in names:
                self._sql.execute("INSERT OR IGNORE INTO cases (name, bundle, state) VALUES (?, ?, 'planned')", (name, bundle))
                self._sql.execute(reset, (name, *anew))

    def forget(self, bundle: str, keep: Iterable[str]) -> None:
        """Take out what is planned or was interrupted of a bundle, but for some names; only where nobody else runs."""
        names = json.dumps(sorted(keep))
        with self._guarded():
            self._sql.execute(f"DELETE FROM cases WHERE bundle=? AND state IN ('planned', 'running') AND name NOT {IN}", (bundle, names))

    def enter_sources(self, sources: Mapping[str, tuple[str, str]], given: Sequence[str], unread: Iterable[str]) -> None:
        """Enter where cases lie, and what else was `unread` there, in place of what was so at an earlier look at some of it.

        What is not done and lay under a path `given`, and lies there no more, is taken out, but where others run.
        """
        roots, paths, alone = json.dumps(given), json.dumps([path for _, path in sources.values()]), not self.others()
        with self._guarded(), self._at_once():
            self._sql.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", ((name, *source) for name, source in sources.items()))
            if alone:
                self._sql.execute("DELETE FROM cases WHERE state<>'done' AND NOT EXISTS (SELECT 1 FROM workers WHERE id<>?) AND name IN "
                                  f"(SELECT name FROM sources WHERE given {IN} AND path NOT {IN})", (self.worker, roots, paths))  # fmt: skip
            self._sql.execute(f"DELETE FROM unread WHERE given=? OR EXISTS (SELECT 1 FROM json_each(unread.given) one WHERE one.value {IN})",
                              (roots, roots))  # fmt: skip
            self._sql.executemany("INSERT INTO unread VALUES (?, ?)", ((roots, reason) for reason in unread))

    def sources(self) -> dict[str, str]:
        """Return the hash of the path of each case whose place is known, by name."""
        return dict(self._all("sources", "name, path"))

    def unread(self) -> list[str]:
        """Return what could not be read before it was a case: a line each."""
        return [reason for (reason,) in self._all("unread", "reason")]

    def _all(self, table: str, columns: str) -> list[Any]:
        with self._guarded():
            if not self._sql.execute("SELECT 1 FROM sqlite_master WHERE name=?", (table,)).fetchone():
                return []  # of an earlier medgen, and only looked at
            return self._sql.execute(f"SELECT {columns} FROM {table}").fetchall()

    def rows(self, name: str | None = None) -> list[Row]:
        """Return what is known of all cases, or of one."""
        which, values = ("", ()) if name is None else ("WHERE name=?", (name,))
        with self._guarded():
            found = self._sql.execute(f"SELECT * FROM cases {which} ORDER BY name", values).fetchall()
        return [row_of(one) for one in found]

    def sent(self, pacs: str) -> dict[str, str]:
        """Return the results that a PACS has: the hash of their content by name."""
        with self._guarded():
            return dict(self._sql.execute("SELECT name, content FROM sent WHERE pacs=?", (pacs,)).fetchall())

    def enter_sent(self, name: str, pacs: str, content: str) -> None:
        """Enter that a PACS has a result."""
        with self._guarded():
            self._sql.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", (name, pacs, content))

    def held(self, row: Row) -> bool:
        """Say whether a living process works on a case."""
        return row.state == "running" and self.living(row.worker)

    def claim(self, row: Row, input_state: str) -> Row | None:
        """Take a case as it was seen, and return what it is now; None where somebody else was quicker.

        Where its last holder was killed for want of memory, that is counted in `deaths`.
        """
        killed = row.state == "running" and row.kills is not None and 0 <= row.kills < kills()
        changed = self._change(row, state="running", worker=self.worker, input_state=input_state, kills=kills(),
                               deaths=row.deaths + killed, reason=None)  # fmt: skip
        return self.rows(row.name)[0] if changed else None

    def done(self, row: Row, *, input: str, bundle_sha256: str, parameters: dict[str, Any], outputs: dict[str, Any], seconds: float) -> bool:
        """Enter that a claimed case is done; False where the claim was lost, as by a machine that stood still."""
        return self._change(row, state="done", input=input, bundle_sha256=bundle_sha256, parameters=parameters, outputs=outputs,
                            seconds=seconds, deaths=0)  # fmt: skip

    def fail(self, row: Row, *, bundle_sha256: str, parameters: dict[str, Any], tried: dict[str, Any], reason: str) -> bool:
        """Enter that a claimed case failed; False where the claim was lost."""
        return self._change(row, state="failed", bundle_sha256=bundle_sha256, parameters=parameters, tried=tried, reason=reason)

    def confirm(self, row: Row, **states: Any) -> None:
        """Enter that the files of a case changed in their state, and not in their content."""
        self._change(row, state=row.state, **states)

    def living(self, worker: str | None) -> bool:
        """Say whether a worker's process still runs."""
        with self._guarded():
            found = self._sql.execute("SELECT machine, process, beat FROM workers WHERE id=?", (worker,)).fetchone()
        if found is None:
            return False
        where, process, beat = found
        if where == machine() and process == identity():
            return str(worker).partition("/")[0] in _OPEN
        if where == machine():
            return is_alive(process)
        heard, since = self._heard.get(str(worker), (None, 0.0))
        if beat != heard:
            self._heard[str(worker)] = (beat, time.monotonic())
            return True
        return time.monotonic() - since < SILENCE

    def others(self) -> list[str]:
        """Return the living workers but this one, and forget the dead of this machine that hold nothing."""
        with self._guarded():
            ids = [one for (one,) in self._sql.execute("SELECT id FROM workers WHERE id NOT LIKE ? || '%'", (self.worker,)).fetchall()]
        living = [one for one in ids if self.living(one)]
        with self._guarded():
            for one in set(ids) - set(living) if not self._only_read else ():
                self._sql.execute("DELETE FROM workers WHERE id=?", (one,))
        return living

    def elsewhere(self) -> list[str]:
        """Return the living workers on other machines, and those that lead such."""
        with self._guarded():
            here = {one for (one,) in self._sql.execute("SELECT id FROM workers WHERE machine=?", (machine(),)).fetchall()}
        return [one for one in self.others() if one not in here or one.startswith(FAR)]

    def _change(self, row: Row, **values: Any) -> bool:
        texts = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in values.items()}
        to = ", ".join(f"{key}=:{key}" for key in texts)
        with self._guarded():
            done = self._sql.execute(f"UPDATE cases SET {to}, turn=turn+1 WHERE name=:_name AND turn=:_turn",
                                     {**texts, "_name": row.name, "_turn": row.turn})  # fmt: skip
        return done.rowcount == 1

    def _beat(self) -> None:
        while not self._closing.wait(BEAT):
            with suppress(RunStopped), self._guarded():  # a full disk stops the run where it matters
                self._sql.execute("UPDATE workers SET beat=beat+1 WHERE id LIKE ? || '%'", (self.worker,))

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Make all changes or none."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._sql.execute("ROLLBACK")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise RunStopped(f"{self.path}: cannot be written ({error}); free space, and the same again goes on") from None
        except sqlite3.DatabaseError as error:
            raise RunStopped(f"{self.path}: is damaged ({error}); delete it, and all is done again") from None
