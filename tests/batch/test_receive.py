"""Series that are sent over loopback by pynetdicom and by Orthanc, run through a bundle, and sent on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from typing_extensions import Self

from medgen.batch.association import Pacs, PacsError
from medgen.batch.ledger import Ledger
from medgen.batch.outbox import Outbox
from medgen.batch.pacs import CT_AND_MR, SYNTAXES, echo, fetch, send
from medgen.batch.receive import address, is_loopback, peer, receiving
from medgen.batch.run import Options, Result, run
from medgen.batch.watch import watch
from medgen.bundles import Bundle
from medgen.scans import find, read
from tests.batch.small_disk import empty, fill, on_small_disk
from tests.batch.test_pacs import Orthanc, orthanc, running, server  # noqa: F401  fixtures
from tests.batch.test_watch import bundle  # noqa: F401  a fixture
from tests.batch.tiny import mr_series, quick_bundle
from tests.scans.phantoms import SECRETS
from tests.test_cli import call

pynetdicom = pytest.importorskip("pynetdicom", reason="pip install medgen[dicom]")
QUICK = {"quiet": 0.3, "poll": 0.05}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def slices(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


@contextmanager
def connected(port: int, aet: str = "MEDGEN", kinds: tuple[str, ...] = CT_AND_MR) -> Iterator[Any]:
    ae = pynetdicom.AE("SENDER")
    for kind in kinds:
        ae.add_requested_context(kind, SYNTAXES[:1])
    one = ae.associate("127.0.0.1", port, ae_title=aet)
    try:
        yield one
    finally:
        if one.is_established:
            one.release()


class Watched:
    """A receiver on a free port and a watch of its inbox, in threads; what they have told so far."""

    def __init__(self, bundle: Bundle, folder: Path, format: str = "nifti", outbox: Outbox | None = None) -> None:  # noqa: F811
        self.port, self.inbox, self.out = free_port(), folder / "inbox", folder / "out"
        self.pacs = Pacs("127.0.0.1", self.port, "MEDGEN", timeout=10)
        self.stop, self.results = threading.Event(), list[Result]()
        self.ready = threading.Event()
        self._arguments = (bundle, Options(self.out, format=format), outbox)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        bundle, options, outbox = self._arguments  # noqa: F811
        self.inbox.mkdir(parents=True, exist_ok=True)
        with receiving(self.inbox, ("127.0.0.1", self.port), "MEDGEN", bundle.root.name) as inbox:
            self.ready.set()
            for result in watch(bundle, self.inbox, options, stop=self.stop, inbox=inbox, outbox=outbox, **QUICK):
                self.results.append(result)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def told(self, count: int) -> list[Result]:
        limit = time.monotonic() + 60
        while len(self.results) < count and time.monotonic() < limit:
            time.sleep(0.02)
        assert len(self.results) == count
        return self.results


def expected(bundle: Bundle, folder: Path, out: Path) -> np.ndarray:  # noqa: F811
    """Return what the bundle makes of a series that came by no network."""
    (result,) = run(bundle, find(folder).cases, Options(out))
    return read(result.files[0]).image.numpy()


def test_two_series_that_come_interleaved_are_done_when_their_association_ends(bundle: Bundle, tmp_path: Path) -> None:  # noqa: F811
    folders = [mr_series(tmp_path / f"there{number}", number, PatientName="Secret^Anna") for number in (1, 2)]
    one, two = (slices(folder) for folder in folders)
    with Watched(bundle, tmp_path) as watched:
        with connected(watched.port) as scu:
            for pair in zip(one, two):
                for ds in pair:
                    assert scu.send_c_store(ds).Status == 0
                if pair[0] is one[5]:
                    time.sleep(1)  # three times the quiet
                    assert watched.results == []
            time.sleep(0.5)
            assert watched.results == []
        results = watched.told(2)
        with connected(watched.port) as scu:  # the same again is not done again
            assert scu.send_c_store(one[0]).Status == 0
        time.sleep(1)
        assert len(watched.told(2)) == 2
    made = [read(result.files[0]).image.numpy() for result in results]
    wanted = [expected(bundle, folder, tmp_path / f"alone{number}") for number, folder in enumerate(folders)]
    assert sorted(map(hash, (array.tobytes() for array in made))) == sorted(map(hash, (array.tobytes() for array in wanted)))
    names = "".join(str(path.relative_to(tmp_path)) for path in [*watched.inbox.rglob("*"), *watched.out.rglob("*")])
    uids = [one[0].SeriesInstanceUID, one[0].SOPInstanceUID]
    assert not [secret for secret in (*SECRETS, "Anna", *uids) if secret in names]


def test_what_is_not_ct_or_mr_is_refused_and_an_echo_is_answered(bundle: Bundle, tmp_path: Path) -> None:  # noqa: F811
    with receiving(tmp_path / "in", ("127.0.0.1", port := free_port()), "MEDGEN", "blur"):
        echo(Pacs("127.0.0.1", port, "MEDGEN"))
        with pytest.raises(PacsError, match="AE titles"):
            echo(Pacs("127.0.0.1", port, "WRONG"))
        with connected(port, kinds=(pydicom.uid.SecondaryCaptureImageStorage, CT_AND_MR[0])) as scu:
            assert [c.abstract_syntax for c in scu.rejected_contexts] == [pydicom.uid.SecondaryCaptureImageStorage]
            assert [c.result for c in scu.rejected_contexts] == [3]  # abstract syntax not supported (PS3.8 9.3.3.2)
        taken = receiving(tmp_path / "in", ("127.0.0.1", port), "MEDGEN", "blur")
        with pytest.raises(PacsError, match="cannot receive on .* choose another"):
            taken.__enter__()
    assert not list((tmp_path / "in").rglob("*.dcm"))


def ask(scu: Any, ds: pydicom.Dataset, *, kind: str = "", uid: str = "", content: bytes | None = None) -> int:
    """Return the status of a C-STORE of our own making, which pynetdicom's would refuse to send."""
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    context = next(c for c in scu.accepted_contexts if c.abstract_syntax == ds.SOPClassUID)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = kind or ds.SOPClassUID, uid or ds.SOPInstanceUID
    request.DataSet = BytesIO(encode(ds, False, True) if content is None else content)
    scu._reactor_checkpoint.clear()
    while not scu._is_paused:
        time.sleep(0.01)
    scu.dimse.send_msg(request, context.context_id)
    _, answer = scu.dimse.get_msg(block=True)
    scu._reactor_checkpoint.set()
    return int(answer.Status)


def test_each_kind_of_bad_instance_has_its_status(tmp_path: Path) -> None:
    ds = slices(mr_series(tmp_path / "there", 1))[0]
    derived, nameless = deepcopy(ds), deepcopy(ds)
    derived.Manufacturer, derived.ManufacturerModelName = "medgen", "blur"
    del nameless.SeriesInstanceUID
    with receiving(tmp_path / "in", ("127.0.0.1", port := free_port()), "MEDGEN", "blur"), connected(port) as scu:
        assert ask(scu, ds, kind=CT_AND_MR[0]) == 0x0122
        assert ask(scu, ds, uid="1.2.3") == 0xA900
        assert ask(scu, ds, content=b"no data set" * 9) == 0xC000
        assert ask(scu, nameless) == 0xC000
        assert ask(scu, derived) == 0x0124
        assert not list((tmp_path / "in").rglob("*.dcm"))
        derived.ManufacturerModelName = "another"
        assert ask(scu, derived) == 0x0000  # one bundle may follow another
    assert len(list((tmp_path / "in").rglob("*.dcm"))) == 1


def test_a_series_with_a_broken_instance_fails_alone(bundle: Bundle, tmp_path: Path) -> None:  # noqa: F811
    bad, good = (slices(mr_series(tmp_path / f"there{number}", number)) for number in (1, 2))
    bad[3].PixelData = bad[3].PixelData[:100]
    with Watched(bundle, tmp_path) as watched:
        with connected(watched.port) as scu:
            assert {scu.send_c_store(ds).Status for ds in (*bad, *good)} == {0}
        results = watched.told(2)
    assert sorted(bool(result.error) for result in results) == [False, True]
    with Ledger(watched.out) as ledger:
        assert sorted(row.state for row in ledger.rows()) == ["done", "failed"]


def _on_a_full_disk(folder: Path, there: Path) -> None:
    ds = slices(there)[0]
    with receiving(folder / "in", ("127.0.0.1", port := free_port()), "MEDGEN", "blur"), connected(port) as scu:
        fill(folder, 0)
        assert scu.send_c_store(ds).Status == 0xA700
        assert not [path for path in folder.rglob("*") if path.is_file() and path.name != ".ballast"]
        empty(folder)
        assert scu.send_c_store(ds).Status == 0
    (file,) = (folder / "in").rglob("*.dcm")
    assert pydicom.dcmread(file) == ds


def test_on_a_full_disk_the_sender_is_told(tmp_path: Path) -> None:
    on_small_disk(tmp_path / "disk", 2, _on_a_full_disk, tmp_path / "disk", mr_series(tmp_path / "there", 1))


def _receive_forever(bundle: Bundle, folder: Path, port: int) -> None:  # noqa: F811
    torch.set_num_threads(1)
    with receiving(folder / "inbox", ("127.0.0.1", port), "MEDGEN", bundle.root.name) as inbox:
        for _ in watch(bundle, folder / "inbox", Options(folder / "out"), quiet=3600, poll=0.05, inbox=inbox):
            pass


def test_what_was_received_before_a_kill_is_done_after_it(bundle: Bundle, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "inbox").mkdir()
    there, port = mr_series(tmp_path / "there", 1), free_port()
    process = multiprocessing.get_context("fork").Process(target=_receive_forever, args=(bundle, tmp_path, port))
    process.start()
    pacs, limit = Pacs("127.0.0.1", port, "MEDGEN", timeout=5), time.monotonic() + 30
    while time.monotonic() < limit:
        try:
            assert send(pacs, there) == 12
            break
        except PacsError:
            time.sleep(0.1)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    (series,) = (tmp_path / "inbox").iterdir()
    (series / ".part_1-1_00000000000000000000000000000000.dcm").write_bytes(b"half an instance")
    assert len(list(series.glob("[!.]*.dcm"))) == 12 and not list((tmp_path / "out").rglob("*.nii.gz"))
    with Watched(bundle, tmp_path) as watched:
        (result,) = watched.told(1)
    np.testing.assert_array_equal(read(result.files[0]).image, expected(bundle, there, tmp_path / "alone"))
    assert not list(series.glob(".part*"))
    with Watched(bundle, tmp_path) as watched:
        time.sleep(1)
        assert watched.results == []


def test_results_are_sent_until_they_are_taken_and_then_no_more(
    bundle: Bundle, tmp_path: Path, server: Callable[..., Pacs]  # noqa: F811
) -> None:
    taken: list[pydicom.Dataset] = []
    answers = [0xA700]

    def store(event: Any) -> int:
        status = answers.pop() if answers else 0
        if status == 0:
            taken.append(event.dataset)
        return status

    pacs = server([(pynetdicom.evt.EVT_C_STORE, store)])
    away = Pacs("127.0.0.1", free_port(), "AWAY", timeout=2)
    there = mr_series(tmp_path / "there", 1)
    with Watched(bundle, tmp_path, "same", Outbox(away, tmp_path / "out", "blur", patience=0.1)) as watched:
        send(watched.pacs, there)
        (result,) = watched.told(1)
        time.sleep(0.5)
    for _ in range(2):  # the second time it is known to be there
        with Watched(bundle, tmp_path, "same", Outbox(pacs, tmp_path / "out", "blur", patience=0.1)) as watched:
            time.sleep(1)
            assert watched.results == []
    made = {ds.SOPInstanceUID: ds for ds in slices(result.files[0])}
    assert sorted(ds.SOPInstanceUID for ds in taken) == sorted(made)
    assert all(np.array_equal(ds.pixel_array, made[ds.SOPInstanceUID].pixel_array) for ds in _with_meta(taken))
    with Ledger(watched.out) as ledger:
        assert list(ledger.sent(str(pacs))) == [row.name for row in ledger.rows()] and ledger.sent(str(away)) == {}


def _with_meta(taken: list[pydicom.Dataset]) -> list[pydicom.Dataset]:
    for ds in taken:
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return taken


def test_orthanc_sends_a_series_and_gets_its_result(orthanc: Orthanc, bundle: Bundle, tmp_path: Path) -> None:  # noqa: F811
    there = mr_series(tmp_path / "there", 1)
    assert orthanc.inside(send, orthanc.pacs, there) == 12
    outbox, stop = Outbox(orthanc.pacs, tmp_path / "out", bundle.root.name), threading.Event()
    (tmp_path / "inbox").mkdir()

    def forward(instances: list[str]) -> dict:
        request = urllib.request.Request("http://127.0.0.1:8042/modalities/medgen/store", json.dumps(instances).encode())
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))

    def work() -> list[Result]:
        with receiving(tmp_path / "inbox", ("127.0.0.1", 11112), "MEDGEN", bundle.root.name) as inbox:
            before = orthanc.instances()
            assert forward(before)["FailedInstancesCount"] == 0
            results = []
            for result in watch(bundle, tmp_path / "inbox", Options(tmp_path / "out", format="same"), stop=stop, inbox=inbox,
                                outbox=outbox, **QUICK):  # fmt: skip
                results.append(result)
                stop.set()
            outbox.send(new=True)
            derived = sorted(set(orthanc.instances()) - set(before))
            assert len(derived) == 12
            assert "FailedInstancesCount" not in forward(derived)  # no circle
            return results

    (result,) = orthanc.inside(work)
    assert len(list((tmp_path / "inbox").rglob("*.dcm"))) == 12
    first = slices(result.files[0])[0]
    (back,) = orthanc.inside(fetch, orthanc.pacs, tmp_path / "back", study=first.StudyInstanceUID,
                            series=first.SeriesInstanceUID)  # fmt: skip
    np.testing.assert_array_equal(read(back).image, read(result.files[0]).image)


def test_the_command_receives_runs_and_sends(tmp_path: Path, server: Callable[..., Pacs]) -> None:  # noqa: F811
    taken: list[str] = []
    pacs = server([(pynetdicom.evt.EVT_C_STORE, lambda event: taken.append(event.dataset.SOPInstanceUID) or 0)])
    port = free_port()
    command = [sys.executable, "-m", "medgen.cli", "watch", tmp_path / "inbox", "--bundle", quick_bundle(tmp_path), "-o",
               tmp_path / "out", "--device", "cpu", "--quiet", "0.3", "--poll", "0.1", "--receive", str(port),
               "--send", f"OURS@127.0.0.1:{pacs.port}", "--log-json", tmp_path / "log"]  # fmt: skip
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    late = threading.Timer(240, process.kill)  # which ends the waiting for a line
    late.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"receiving on 127.0.0.1:{port} as MEDGEN\n"
        send(Pacs("127.0.0.1", port, "MEDGEN"), mr_series(tmp_path / "there", 1))
        told = [process.stdout.readline() for _ in range(2)]
        assert "_blur" in told[0] and f"12 files sent to OURS at 127.0.0.1:{pacs.port}" in told[1]
    finally:
        late.cancel()
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0 and len(taken) == 12
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events.count("received") == 12 and events.count("sent") == 1


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    watch_there = ("watch", tmp_path / "inbox", "--bundle", quick_bundle(tmp_path), "-o", tmp_path / "out")
    for more, message in (
        (("--receive", "port"), "is not [HOST:]PORT"), (("--receive", "70000"), "from 1 to 65535"),
        (("--send", "host:104"), "is not AET@HOST:PORT"), (("--send", "PACS@host"), "is not AET@HOST:PORT"),
        (("--send", "P@h:1", "--format", "nifti"), "--send sends DICOM"),
    ):  # fmt: skip
        code, _, err = call(*watch_there, *more)
        assert code == 2 and message in err and err.count("\n") == 1, err
    assert not (tmp_path / "inbox").exists()


def test_addresses_are_loopback_unless_said() -> None:
    assert address("104") == ("127.0.0.1", 104) and address("0.0.0.0:104") == ("0.0.0.0", 104) and address("[::1]:1") == ("::1", 1)
    assert peer("PACS@pacs.local:104", "ME") == Pacs("pacs.local", 104, "PACS", "ME")
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "10.0.0.1", "pacs.local")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
