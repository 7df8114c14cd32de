"""A language model behind the chat completions protocol, played by a server on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from medgen.text.items import TextError
from medgen.text.llm import KEY, ModelError, ask, check, schema
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec

TEXT = "12 mm glioma-ish lesion in the left frontal lobe"
ANSWER = {"lesions": [{"kind": "tumour-like", "side": "left", "place": "frontal", "diameter_mm": {"low": 12, "high": 12},
                       "count": {"low": 1, "high": 1}, "oedema": None}]}  # fmt: skip


class Endpoint(ThreadingHTTPServer):
    """Answers as told by `reply`, and keeps what it was asked."""

    reply: Callable[[BaseHTTPRequestHandler], None]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def completes(self, content: Any, finish: str = "stop", **message: Any) -> None:
        """Answer with a chat completion as OpenAI documents it."""
        text = content if content is None or isinstance(content, str) else json.dumps(content)
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": None} | message,
                             "logprobs": None, "finish_reason": finish}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip
        self.says(200, json.dumps(body).encode())

    def says(self, status: int, body: bytes, **headers: str) -> None:
        def reply(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.reply = reply


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        self.server.reply(self)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # loopback is not asked for through a proxy
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_request_and_the_answer(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    endpoint.completes(ANSWER)
    assert ask(TEXT, endpoint.url, "m") == ScanSpec.model_validate(ANSWER)
    ((path, headers, body),) = endpoint.asked
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret"
    assert body["model"] == "m" and body["temperature"] == 0 and body["messages"][-1] == {"role": "user", "content": TEXT}
    assert body["response_format"]["json_schema"] == {"name": "ScanSpec", "strict": True, "schema": schema()}


def test_no_key_is_sent_where_there_is_none(endpoint: Endpoint) -> None:
    endpoint.completes(ANSWER)
    ask(TEXT, endpoint.url + "/", "m")
    assert "Authorization" not in endpoint.asked[0][1] and endpoint.asked[0][0] == "/v1/chat/completions"


def test_every_object_of_the_schema_is_closed_and_complete() -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict):
                assert node["required"] == list(node["properties"]) and node["additionalProperties"] is False
            assert "default" not in node
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(schema())


@pytest.mark.parametrize(
    ("tell", "words"),
    [
        (lambda e: e.completes("Sure! Here is your scan."), "no valid ScanSpec"),
        (lambda e: e.completes('{"lesions": [{"side": "up"}]}'), "no valid ScanSpec"),
        (lambda e: e.completes('{"lesions": [{"diameter_mm": {"low": 900, "high": 900}}]}'), "outside of 0.5 to 120"),
        (lambda e: e.completes('{"hat": 1}'), "no valid ScanSpec"),
        (lambda e: e.completes('{"plane": "ax', finish="length"), "incomplete (length)"),
        (lambda e: e.completes(None), "incomplete"),
        (lambda e: e.completes(None, refusal="I cannot help with that."), "refused to answer"),
        (lambda e: e.completes(ANSWER, finish="content_filter"), "refused to answer"),
        (lambda e: e.says(200, b"<html>hello</html>"), "no chat completion"),
        (lambda e: e.says(200, b'{"choices": []}'), "no chat completion"),
        (lambda e: e.says(200, b'{"choices": [{"message": null}]}'), "no chat completion"),
        (lambda e: e.says(200, b"[1]"), "no chat completion"),
        (lambda e: e.says(200, b"x" * ((1 << 20) + 1)), "longer than"),
        (lambda e: e.says(401, b'{"error": {"message": "no"}}'), "HTTP 401"),
        (lambda e: e.says(404, b""), "HTTP 404"),
        (lambda e: e.says(500, b""), "HTTP 500"),
        (lambda e: e.says(302, b"", Location=e.url + "/elsewhere"), "HTTP 302"),
    ],
)
def test_anything_but_a_whole_answer_is_refused(endpoint: Endpoint, tell: Callable[[Endpoint], None], words: str) -> None:
    tell(endpoint)
    with pytest.raises(ModelError) as error:
        ask(TEXT, endpoint.url, "m")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert len(endpoint.asked) == 1


def test_a_slow_answer_is_given_up(endpoint: Endpoint) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.05):  # never silent for long, never ready
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return

    endpoint.reply = drip
    started = time.monotonic()
    with pytest.raises(ModelError, match="no answer within"):
        ask(TEXT, endpoint.url, "m", timeout=0.3)
    done.set()
    assert time.monotonic() - started < 5
    endpoint.reply = lambda handler: time.sleep(0.6)
    with pytest.raises(ModelError, match="no answer within"):
        ask(TEXT, endpoint.url, "m", timeout=0.2)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "127.0.0.1:80", "file:///etc/passwd", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ModelError, match="no http"):
        ask(TEXT, url, "m")


def test_nobody_there_and_a_key_that_would_be_read_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="cannot be reached"):
        ask(TEXT, "http://127.0.0.1:9/v1", "m", timeout=2)
    monkeypatch.setenv(KEY, "secret")
    with pytest.raises(ModelError, match="not sent unencrypted") as error:
        ask(TEXT, "http://192.0.2.1/v1", "m")
    assert "secret" not in str(error.value)


def changed(**fields: Any) -> ScanSpec:
    return ScanSpec.model_validate({"lesions": [ANSWER["lesions"][0] | fields]})


def test_a_model_adds_what_the_rules_do_not_know() -> None:
    assert check(ScanSpec.model_validate(ANSWER | {"sex": "female"}), parse("12 mm lesion in the left frontal lobe").spec) == ["sex", "lesions"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (changed(side="right"), "the side of lesion 1"),
        (changed(side=None), "the side of lesion 1: nothing and left"),
        (changed(diameter_mm=[12, 13]), "the diameter of lesion 1: 12 to 13 mm and 12 mm"),
        (changed(count=2), "the count of lesion 1"),
        (changed(place="insula"), "the place of lesion 1"),
        (ScanSpec(), "the number of lesions"),
        (ScanSpec.model_validate({"lesions": ANSWER["lesions"] * 2}), "the number of lesions"),
        (ScanSpec.model_validate(ANSWER | {"ventricles": {"factor": 2}}), "the size of the ventricles"),
        (ScanSpec.model_validate(ANSWER | {"midline_shift": {"toward": "left"}}), "the side of the midline shift"),
        (ScanSpec.model_validate(ANSWER | {"slice_mm": 5}), "the slice thickness"),
        (ScanSpec.model_validate(ANSWER | {"atrophy": {"grade": "mild", "side": "left"}}), "the side of the atrophy"),
    ],
)
def test_a_model_is_no_judge_of_side_or_size(told: ScanSpec, words: str) -> None:
    with pytest.raises(TextError, match=words):
        check(told, parse("12 mm lesion in the left frontal lobe").spec)
