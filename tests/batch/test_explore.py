"""The page of `medgen explore`: who may ask it, and what it refuses and makes."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import nibabel as nib
import pytest

from medgen.batch import explore
from medgen.batch.explore import MOST, Server, serve
from medgen.bundles import BundleError, available, open_bundle, read_metadata
from medgen.text.parse import parse
from medgen.text.spec import Kind, Place, ScanSpec, Side

TO_ORDER = next(name for name, root in available().items() if read_metadata(root).get("text"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server, folder = serve(open_bundle(TO_ORDER, "cpu"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    folder.cleanup()
    assert not Path(folder.name).exists()


def ask(server: Server, path: str, content: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Ask as a page of the server would, but for the headers that are given."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=300)
    sent = {"X-Token": server.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = content if isinstance(content, bytes) else None if content is None else json.dumps(content).encode()
    connection.request("GET" if content is None else "POST", path, body, sent)
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def test_it_listens_to_this_machine_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1" and len(server.token) >= 32
    assert server.url == f"http://127.0.0.1:{server.server_port}/?token={server.token}"


@pytest.mark.parametrize("headers", [{"X_Token": ""}, {"X_Token": "guess"}, {"Host": "evil.example"}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("content", [None, {"spec": {}, "seed": 0}])
def test_whoever_has_no_token_or_comes_from_elsewhere_is_refused(server: Server, headers: dict[str, str], content: Any) -> None:
    status, body, _ = ask(server, "/" if content is None else "/make", content, **headers)
    assert status == 403 and server.token.encode() not in body


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    status, body, headers = ask(server, f"/?token={server.token}")
    assert status == 200 and b"http" not in body.replace(b"<!doctype html>", b"")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'") and headers["Cache-Control"] == "no-store"


def test_a_list_of_the_page_has_all_that_can_be_said_and_no_control_anything_else(server: Server) -> None:
    page = ask(server, f"/?token={server.token}")[1].decode()
    lists = {name: re.findall(r"<option>([^<]+)", inner) for name, inner in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page)}
    assert "{{" not in page
    for name, choice in {"kind": Kind, "side": Side, "place": Place}.items():
        assert lists[f"lesions.0.{name}"] == list(get_args(choice))
    ends = re.findall(r'<input[^>]* name="([^"]+)"[^>]* min="([^"]+)" max="([^"]+)"', page)
    says = [(name, one) for name, options in lists.items() for one in options] + [(name, float(end)) for name, *both in ends for end in both]
    assert len(ends) == 5 and len(lists) == 9
    for name, value in says:
        spec: Any = value
        for key in reversed(name.split(".")):
            spec = [spec] if key == "0" else {key: spec}
        assert ScanSpec.model_validate(spec).model_dump(exclude_none=True)


def test_words_come_with_what_was_ignored_and_what_ought_to_be_looked_at(server: Server) -> None:
    text = "FLAIR, xylophone, 12 mm lesion in the right insula"
    told, parsed = json.loads(ask(server, "/understand", {"text": text})[1]), parse(text)
    assert told["spec"] == parsed.spec.model_dump(exclude_none=True) and told["spec"]["lesions"][0]["place"] == "insula"
    assert told["ignored"] == ["xylophone"] and told["warnings"] == parsed.warnings and ["right", "side: right"] in told["understood"]


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("/make", {"spec": {"contrast": "PET"}, "seed": 0}, 400, "contrast"),
        ("/make", {"spec": {"weight": 3}, "seed": 0}, 400, "weight"),
        ("/make", {"spec": {}, "seed": -1}, 400, "a seed is a whole number"),
        ("/make", {"spec": {}, "seed": "0; rm"}, 400, "a seed is a whole number"),
        ("/make", b"not json", 400, "Expecting value"),
        ("/make", [1], 400, "a JSON object is needed"),
        ("/make", b"x" * (MOST + 1), 413, "at most"),
        ("/understand", {"text": "T1, 12 mm lesion, left or right, no lesion at all in the left"}, 400, ""),
        ("/nowhere", {}, 404, "no such page"),
        ("/made/../../etc/passwd", None, 404, "no such file"),
        ("/made/nothing.nii.gz", None, 404, "no such file"),
    ],
)
def test_what_is_wrong_is_one_line(server: Server, path: str, content: Any, status: int, message: str) -> None:
    found, body, _ = ask(server, path, content)
    told = json.loads(body)
    assert found == status and message in told.get("error", "") and "\n" not in told.get("error", "")


def test_a_lesion_that_does_not_fit_says_what_does(server: Server) -> None:
    lesion = {"kind": "ms-like", "side": "left", "place": "thalamus", "diameter_mm": 50}
    status, body, _ = ask(server, "/make", {"spec": {"lesions": [lesion]}, "seed": 0})
    assert status == 400 and "does not fit" in json.loads(body)["error"]


def test_a_scan_is_made_saved_and_marked_and_old_ones_go(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "KEPT", 1)
    answers: list[Any] = []
    spec = json.loads(ask(server, "/understand", {"text": "T2, mildly enlarged ventricles, two 8 mm bilateral lesions with oedema"})[1])["spec"]

    def make(seed: int) -> None:
        answers.append(ask(server, "/make", {"spec": spec, "seed": seed}))

    threads = [threading.Thread(target=make, args=(seed,)) for seed in (1, 2)]  # two at once: one after the other
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in answers] == [200, 200]
    first, last = (json.loads(body) for _, body, _ in answers)
    edit = next(e for e in last["edits"] if e.get("edit") == "ventricles")
    assert edit["obtained_ml"] == pytest.approx(edit["requested_ml"], rel=0.02)
    status, body, headers = ask(server, f"/made/{last['scan']}?token={server.token}")
    assert status == 200 and "attachment" in headers["Content-Disposition"]
    (tmp_path / "scan.nii.gz").write_bytes(body)
    image = nib.load(tmp_path / "scan.nii.gz")
    assert b"SYNTHETIC" in bytes(image.header["descrip"].item()) and min(image.shape) > 60
    sidecar = json.loads(ask(server, f"/made/{last['sidecar']}")[1])
    assert sidecar["synthetic"] is True and sidecar["parameters"]["seed"] in (1, 2)
    assert sidecar["report"]["spec"] == spec  # made as it was understood
    lesions = [e for e in sidecar["report"]["edits"] if e.get("edit") == "lesion"]
    assert [e["side"] for e in lesions] == ["left", "right"] and all(e["oedema_ml"] > 0 and e["requested_mm"] == 8 for e in lesions)
    assert ask(server, f"/made/{first['scan']}")[0] == 404  # two are kept at most, so the first went


def test_a_bundle_that_takes_no_order_is_refused() -> None:
    other = next(name for name, root in available().items() if not read_metadata(root).get("text"))
    with pytest.raises(BundleError, match="makes no scans from a text"):
        serve(open_bundle(other, "cpu"))
