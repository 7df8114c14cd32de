"""Against Orthanc, a real PACS, shut into a network namespace; and against small servers of our own that misbehave."""

from __future__ import annotations

import ctypes
import fcntl
import inspect
import json
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from medgen import cli
from medgen.batch import pacs as pacs_module
from medgen.batch.association import Pacs, PacsError, associated
from medgen.batch.pacs import echo, fetch, send
from medgen.scans import ScanError, read
from medgen.scans.dicom_derived import Maker
from medgen.scans.dicom_seg import Segment, write_seg
from medgen.scans.dicom_write import write_dicom
from tests.scans.corpus_dicom_frames import ENTRIES
from tests.scans.dicom_lint import need
from tests.scans.phantoms import SECRETS, save_series, series

pynetdicom = pytest.importorskip("pynetdicom", reason="pip install medgen[dicom]")
SAMPLES = Path(__file__).parents[2] / "sample_data"
MAKER = Maker("a_bundle", "1.2.3", "ab" * 32)
T = TypeVar("T")


class Orthanc:
    """A running Orthanc and the one thread that lives in its network namespace: only `inside` reaches it."""

    def __init__(self, folder: Path) -> None:
        self.pacs = Pacs("127.0.0.1", 4242, "ORTHANC", timeout=10)
        self.folder, self.thread = folder, ThreadPoolExecutor(1)

    def inside(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return self.thread.submit(function, *arguments, **options).result(timeout=120)

    def start(self, program: str) -> None:
        config = {
            "Name": "test", "StorageDirectory": "db", "IndexDirectory": "db", "HttpPort": 8042, "DicomPort": 4242,
            "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAet": "ORTHANC", "Plugins": [],
            "DicomCheckCalledAet": True, "DicomModalities": {"medgen": ["MEDGEN", "127.0.0.1", 11112]},
        }  # fmt: skip
        (self.folder / "orthanc.json").write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [program, "orthanc.json"], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("w")
        )
        for _ in range(100):
            try:
                echo(self.pacs)
                return
            except PacsError:
                time.sleep(0.2)
        raise TimeoutError("Orthanc did not start: " + (self.folder / "log").read_text()[-2000:])

    def instances(self) -> list[str]:
        with urllib.request.urlopen("http://127.0.0.1:8042/instances", timeout=10) as answer:
            return json.load(answer)

    def clear(self) -> None:
        for instance in self.instances():
            request = urllib.request.Request(f"http://127.0.0.1:8042/instances/{instance}", method="DELETE")
            urllib.request.urlopen(request, timeout=10).close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.thread.shutdown()


def enter_new_network() -> None:
    """Move this thread, and what it starts, into a network of its own with nothing but loopback (CLONE_NEWNET)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:
        raise PermissionError(ctypes.get_errno(), "no network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    program = need("Orthanc", "orthanc")
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    try:
        server.inside(enter_new_network)
    except PermissionError:  # Orthanc's DICOM port listens on every address: not outside a namespace
        pytest.skip("a network namespace needs root (CAP_SYS_ADMIN)")
    server.inside(server.start, program)
    yield server
    server.stop()


@pytest.fixture
def orthanc(running: Orthanc) -> Orthanc:
    running.inside(running.clear)
    return running


def derived(folder: Path, sample: str) -> Path:
    scan = read(SAMPLES / sample)
    write_dicom(folder, scan.image[0].numpy() * 0.5, scan, description="Halved", maker=MAKER)
    return folder


def test_orthanc_is_seen_by_this_namespace_only(orthanc: Orthanc) -> None:
    orthanc.inside(echo, orthanc.pacs)
    with pytest.raises(PacsError, match="cannot be reached"):
        echo(Pacs("127.0.0.1", 4242, "ORTHANC", timeout=2))


@pytest.mark.parametrize("listen", [None, ("127.0.0.1", 11112)], ids=["C-GET", "C-MOVE"])
@pytest.mark.parametrize("sample", ["mr_brain_dicom", "ct_lung_dicom"])
def test_a_derived_series_comes_back_equal(
    sample: str, listen: tuple[str, int] | None, orthanc: Orthanc, tmp_path: Path
) -> None:
    there = derived(tmp_path / "there", sample)
    first = pydicom.dcmread(min(there.iterdir()))
    assert orthanc.inside(send, orthanc.pacs, there) == len(orthanc.inside(orthanc.instances)) == len(list(there.iterdir()))
    (folder,) = orthanc.inside(fetch, orthanc.pacs, tmp_path / "back", series=first.SeriesInstanceUID, listen=listen,
                               study=first.StudyInstanceUID)  # fmt: skip
    assert folder == tmp_path / "back/series_001"
    sent, got = read(there), read(folder)
    np.testing.assert_array_equal(got.image.numpy(), sent.image.numpy())
    np.testing.assert_array_equal(got.image.affine.numpy(), sent.image.affine.numpy())
    assert [a.to_json() for a in got.slices] == [b.to_json() for b in sent.slices]  # headers too


@pytest.mark.parametrize("name", ["CT, rescale of each frame", "MR", "legacy converted MR", "Siemens mosaic"])
def test_a_series_derived_of_frames_comes_back_equal_beside_its_source(name: str, orthanc: Orthanc, tmp_path: Path) -> None:
    ENTRIES[name].make(tmp_path / "in")
    scan = read(tmp_path / "in")
    write_dicom(tmp_path / "there", scan.image[0].numpy() * 0.5, scan, description="Halved", maker=MAKER)
    for folder in ("in", "there"):
        orthanc.inside(send, orthanc.pacs, tmp_path / folder)
    folders = orthanc.inside(fetch, orthanc.pacs, tmp_path / "back", study=scan.slices[0].StudyInstanceUID)
    assert sorted(len(list(folder.iterdir())) for folder in folders) == [1, 5]
    sent = {"in": scan, "there": read(tmp_path / "there")}
    for folder in folders:
        got = read(folder)
        like = sent["in" if len(list(folder.iterdir())) == 1 else "there"]
        np.testing.assert_array_equal(got.image.numpy(), like.image.numpy())
        np.testing.assert_array_equal(got.image.affine.numpy(), scan.image.affine.numpy())


def test_a_study_is_fetched_with_its_source_and_its_labels(orthanc: Orthanc, tmp_path: Path) -> None:
    scan = read(SAMPLES / "mr_brain_dicom")
    labels = (scan.image[0].numpy() > 500).astype(np.uint8)
    write_seg(tmp_path / "seg/1.dcm", labels, scan, {1: Segment("Bright")}, description="Bright", maker=MAKER)
    for folder in (SAMPLES / "mr_brain_dicom", derived(tmp_path / "d", "mr_brain_dicom"), tmp_path / "seg"):
        orthanc.inside(send, orthanc.pacs, folder)  # the sample is RLE compressed
    study = scan.slices[0].StudyInstanceUID
    folders = orthanc.inside(fetch, orthanc.pacs, tmp_path / "all", study=study)
    assert [folder.name for folder in folders] == ["series_001", "series_002", "series_003"]
    assert sorted(len(list(folder.iterdir())) for folder in folders) == [1, 23, 23]
    images = orthanc.inside(fetch, orthanc.pacs, tmp_path / "mr", patient=str(scan.slices[0].PatientID), modality="MR")
    assert len(images) == 2
    for folder in images:
        np.testing.assert_array_equal(read(folder).image.affine, scan.image.affine)
    again = orthanc.inside(fetch, orthanc.pacs, tmp_path / "mr", study=study, modality="MR")  # replaces the earlier fetch
    assert again == images
    (images[0] / "notes.txt").write_text("mine")
    with pytest.raises(ScanError, match="other files"):
        orthanc.inside(fetch, orthanc.pacs, tmp_path / "mr", study=study, modality="MR")
    assert (images[0] / "notes.txt").read_text() == "mine"


def test_what_cannot_be_fetched_is_an_error_and_leaves_nothing(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.inside(send, orthanc.pacs, derived(tmp_path / "d", "ct_lung_dicom"))
    study = pydicom.dcmread(min((tmp_path / "d").iterdir())).StudyInstanceUID
    for options, message in (
        ({"study": "1.2.3"}, "no such series"),
        ({"patient": "nobody"}, "no such series"),
        ({"study": study, "series": "1.2.3"}, "no such series"),
        ({"study": study, "modality": "MR"}, "no such series"),
        ({"patient": "*"}, "without wildcards"),
        ({}, "say what to fetch"),
    ):
        with pytest.raises(PacsError, match=message):
            orthanc.inside(fetch, orthanc.pacs, tmp_path / "out", **options)
    stranger = Pacs("127.0.0.1", 4242, "ORTHANC", "STRANGER", timeout=10)
    with pytest.raises(PacsError, match="AE title"):
        orthanc.inside(fetch, stranger, tmp_path / "out", study=study, listen=("127.0.0.1", 11113))
    with pytest.raises(PacsError, match="check the AE titles"):
        orthanc.inside(echo, Pacs("127.0.0.1", 4242, "WRONG", timeout=10))
    with pytest.raises(ScanError, match="other files"):
        orthanc.inside(fetch, orthanc.pacs, tmp_path, study=study)
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_commands(orthanc: Orthanc, tmp_path: Path) -> None:
    there = derived(tmp_path / "d", "ct_lung_dicom")
    study = pydicom.dcmread(min(there.iterdir())).StudyInstanceUID
    address = ["127.0.0.1", "4242", "--aet", "ORTHANC"]
    runner = CliRunner()
    sent = orthanc.inside(runner.invoke, cli.app, ["send", str(there), *address])
    assert (sent.exit_code, sent.output) == (0, "40 sent to ORTHANC\n")
    out = str(tmp_path / "out")
    got = orthanc.inside(runner.invoke, cli.app, ["fetch", *address, "-o", out, "--study", study])
    assert got.exit_code == 0 and len(list((tmp_path / "out/series_001").iterdir())) == 40
    moved = orthanc.inside(runner.invoke, cli.app, ["fetch", *address, "-o", out, "--study", study, "--listen", "11112"])
    assert moved.exit_code == 0
    missing = orthanc.inside(runner.invoke, cli.app, ["fetch", *address, "-o", out, "--study", "1.2"])
    assert missing.exit_code == 1 and missing.output.startswith("medgen: ") and missing.output.count("\n") == 1
    assert runner.invoke(cli.app, ["fetch", *address, "-o", out]).exit_code == 2
    assert runner.invoke(cli.app, ["send", str(tmp_path / "none"), *address]).exit_code == 2


def test_nothing_listens_but_on_loopback_unless_asked() -> None:
    assert inspect.signature(cli.pacs.fetch).parameters["bind"].default == "127.0.0.1"
    assert inspect.signature(cli.pacs.fetch).parameters["listen"].default is None


@pytest.fixture
def server() -> Iterator[Callable[..., Pacs]]:
    """Give a function that starts a server of our own on loopback, which does as its handlers say."""
    started = []

    def start(handlers: list, contexts: list[str] | None = None) -> Pacs:
        ae = pynetdicom.AE(ae_title="OURS")
        for uid in contexts or [*pacs_module.VOLUMES, pacs_module.VERIFICATION, pacs_module.FIND, pacs_module.GET]:
            ae.add_supported_context(uid, pacs_module.SYNTAXES, scu_role=True, scp_role=True)
        started.append(ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers))
        return Pacs("127.0.0.1", started[-1].server_address[1], "OURS", timeout=3)

    yield start
    for one in started:
        one.shutdown()


@pytest.fixture
def phantom(tmp_path: Path) -> Path:
    save_series(series(modality="CT"), tmp_path / "phantom")
    return tmp_path / "phantom"


def test_user_and_password_come_from_the_environment(
    server: Callable[..., Pacs], phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def who(event: Any) -> tuple[bool, None]:
        return (event.primary_field, event.secondary_field) == (b"anna", b"pass word"), None

    ours = server([(pynetdicom.evt.EVT_USER_ID, who), (pynetdicom.evt.EVT_C_STORE, lambda event: 0)])
    monkeypatch.setenv("MEDGEN_PACS_USER", "anna")
    monkeypatch.setenv("MEDGEN_PACS_PASSWORD", "wrong")
    with pytest.raises(PacsError, match="refused") as refused:
        send(ours, phantom)
    assert "wrong" not in str(refused.value) and "anna" not in str(refused.value)
    monkeypatch.setenv("MEDGEN_PACS_PASSWORD", "pass word")
    assert send(ours, phantom) == 5


def test_a_refusal_that_hangs_up_before_it_is_looked_at_is_a_refusal(server: Callable[..., Pacs]) -> None:
    ours = server([(pynetdicom.evt.EVT_USER_ID, lambda event: (False, None))])
    late = (pynetdicom.evt.EVT_REQUESTED, lambda event: time.sleep(0.5))  # by then the PACS has answered and hung up
    identity = pynetdicom.pdu_primitives.UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"anna"
    with (
        pytest.raises(PacsError, match="refused the association"),
        associated(ours, [(pacs_module.VERIFICATION, pacs_module.SYNTAXES)], [identity], [late]),
    ):
        pass


def test_a_refused_image_stops_the_sending(server: Callable[..., Pacs], phantom: Path) -> None:
    stored: list[str] = []

    def full(event: Any) -> int:
        stored.append(event.dataset.SOPInstanceUID)
        return 0xA700 if len(stored) == 3 else 0

    with pytest.raises(PacsError, match=r"2 of 5 were stored.*0xA700") as refused:
        send(server([(pynetdicom.evt.EVT_C_STORE, full)]), phantom)
    assert len(stored) == 3 and "\n" not in str(refused.value)
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


def test_what_the_pacs_does_not_take_is_said_before_anything_is_sent(server: Callable[..., Pacs], phantom: Path) -> None:
    with pytest.raises(PacsError, match="does not take CT Image Storage as Explicit VR Little Endian"):
        send(server([], [pydicom.uid.MRImageStorage]), phantom)
    (phantom / "z000.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"rubbish")
    with pytest.raises(PacsError, match=r"z000.dcm: is not a readable DICOM file"):
        send(server([]), phantom)


def test_an_image_that_stays_away_is_missed(server: Callable[..., Pacs], phantom: Path, tmp_path: Path) -> None:
    files = sorted(phantom.iterdir())
    first = pydicom.dcmread(files[0])

    def find(event: Any) -> Iterator[tuple[int, Any]]:
        key = pydicom.Dataset()
        key.StudyInstanceUID, key.SeriesInstanceUID, key.Modality = first.StudyInstanceUID, first.SeriesInstanceUID, "CT"
        key.NumberOfSeriesRelatedInstances = 5
        yield 0xFF00, key

    def get(event: Any) -> Iterator[Any]:
        yield 4
        for file in files[:4]:
            yield 0xFF00, pydicom.dcmread(file)

    ours = server([(pynetdicom.evt.EVT_C_FIND, find), (pynetdicom.evt.EVT_C_GET, get)])
    with pytest.raises(PacsError, match="4 of 5 images"):
        fetch(ours, tmp_path / "out", study=first.StudyInstanceUID)
    assert [path.name for path in tmp_path.iterdir()] == ["phantom"]


@pytest.mark.parametrize(
    ("pacs", "message"),
    [
        (Pacs("127.0.0.1", 1, "X", timeout=2), "cannot be reached"),
        (Pacs("no.such.host.invalid", 104, "X", timeout=2), "cannot be reached"),
        (Pacs("127.0.0.1", 1, "A" * 17), "AE title"),
        *[(Pacs("127.0.0.1", port, "X", timeout=2), "a port is a number from 1 to 65535") for port in (99999, 65536, 0, -1)],
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pacs_that_is_not_there_is_said_in_one_line(pacs: Pacs, message: str) -> None:
    with pytest.raises(PacsError, match=message) as error:
        echo(pacs)
    assert "\n" not in str(error.value)


def test_a_folder_without_dicom_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(PacsError, match="holds no DICOM files"):
        send(Pacs("127.0.0.1", 1, "X"), tmp_path)
