"""A local page to make scans by sliders: an HTTP server on this machine alone, for whoever has its random token."""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

from medgen.batch.ordered import check, paint
from medgen.batch.results import Options, write
from medgen.batch.run import one_line
from medgen.bundles import Bundle
from medgen.scans import Case
from medgen.text.parse import parse
from medgen.text.spec import Contrast, Grade, Kind, MidlineShift, Place, ScanSpec, Sex, Side, reason

PAGE = Path(__file__).with_name("page")
MOST = 20_000  #: bytes of a request
#: What the page's lists offer: all that a specification has.
CHOICES = {"Contrast": Contrast, "Sex": Sex, "Grade": Grade, "Kind": Kind, "Side": Side, "Place": Place,
           "Toward": get_args(MidlineShift.model_fields["toward"].annotation)[0]}  # fmt: skip
KEPT = 8  #: scans that can still be saved; older ones are removed


class Explorer:
    """What the page does: makes one scan after the other of a bundle, whose network is loaded once.

    Raises `BundleError` for a bundle that takes no order.
    """

    def __init__(self, bundle: Bundle, folder: Path, memory: float | None = None) -> None:
        check(bundle)
        self.bundle, self.folder, self.memory = bundle, folder, memory
        self.files: dict[str, Path] = {}
        self.lock = threading.Lock()
        self.made = 0
        bundle.network  # noqa: B018  a missing or altered checkpoint stops here

    def understand(self, text: str) -> dict[str, Any]:
        """Return the specification of a sentence, and how it was understood. Raises `TextError` where it is not."""
        parsed = parse(text)
        return {"spec": parsed.spec.model_dump(exclude_none=True), "understood": parsed.understood, "ignored": parsed.ignored,
                "warnings": parsed.warnings}  # fmt: skip

    def make(self, spec: dict[str, Any], seed: int) -> dict[str, Any]:
        """Make a scan, and return the names of its files, the seconds it took, and what was obtained. One at a time.

        Raises ValueError, with a reason in one line, for a specification that is none or cannot be built.
        """
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
            raise ValueError(f"a seed is a whole number from 0 to {2**31 - 1}")
        try:
            wanted = ScanSpec.model_validate(spec).model_dump(exclude_none=True)
        except ValueError as error:
            raise ValueError(reason(error)) from None
        with self.lock:
            started = time.perf_counter()
            scan, restored = paint(self.bundle, wanted, seed, self.memory)
            seconds = time.perf_counter() - started
            self.made += 1
            case = Case(f"explored-{self.made:03d}-{seed}", (), "text")
            files = write(self.bundle, case, scan, restored, Options(self.folder, overwrite=True, seed=seed), seconds)
            for path in files.values():
                self.files[path.name] = path
            while len(self.files) > KEPT * len(files):
                self.files.pop(next(iter(self.files))).unlink(missing_ok=True)
        return {"scan": files[""].name, "sidecar": files["json"].name, "seconds": round(seconds, 1), "edits": restored.report.get("edits", [])}


class Server(ThreadingHTTPServer):
    """Serves the page on 127.0.0.1: to requests with the token, and with a Host and an Origin of this server."""

    daemon_threads = True

    def __init__(self, explorer: Explorer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.explorer, self.token = explorer, secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    @property
    def url(self) -> str:
        """The page's address, with the token."""
        return f"http://127.0.0.1:{self.server_port}/?token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: addresses hold the token."""

    def _allowed(self) -> bool:
        origin = self.headers.get("Origin")
        token = parse_qs(urlsplit(self.path).query).get("token", [self.headers.get("X-Token", "")])[0]
        return (
            self.headers.get("Host") in self.server.hosts
            and (origin is None or origin.removeprefix("http://") in self.server.hosts)
            and secrets.compare_digest(token.encode(), self.server.token.encode())
        )

    def _send(self, status: int, body: bytes, kind: str, name: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; "
                         "img-src 'self' data: blob:; worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")  # fmt: skip
        if name:
            self.send_header("Content-Disposition", f'attachment; filename="{name}"')
        self.end_headers()
        self.wfile.write(body)

    def _tell(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _fillings(self) -> dict[str, str]:
        """Return what the page's {{names}} stand for."""
        lists = {name: "".join(f"<option>{one}" for one in get_args(choice)) for name, choice in CHOICES.items()}
        return {"token": self.server.token, "bundle": self.server.explorer.bundle.root.name, **lists}

    def do_GET(self) -> None:
        if not self._allowed():
            return self._tell(HTTPStatus.FORBIDDEN, {"error": "open the address that medgen explore printed"})
        path = urlsplit(self.path).path
        pages = {"/": ("explore.html", "text/html; charset=utf-8"), "/explore.js": ("explore.js", "text/javascript"),
                 "/style.css": ("style.css", "text/css"), "/niivue.js": ("niivue/niivue.umd.js", "text/javascript")}  # fmt: skip
        if path in pages:
            name, kind = pages[path]
            body = (PAGE / name).read_bytes()
            for what, filling in self._fillings().items() if path == "/" else ():
                body = body.replace(b"{{" + what.encode() + b"}}", filling.encode())
            return self._send(HTTPStatus.OK, body, kind)
        file = self.server.explorer.files.get(path.removeprefix("/made/"))
        try:
            made = file.read_bytes() if file else b""
        except OSError:  # removed meanwhile
            made = b""
        if file is None or not made:
            return self._tell(HTTPStatus.NOT_FOUND, {"error": "there is no such file any more; make the scan again"})
        return self._send(HTTPStatus.OK, made, "application/octet-stream", file.name)

    def do_POST(self) -> None:
        if not self._allowed():
            self.close_connection = True
            return self._tell(HTTPStatus.FORBIDDEN, {"error": "open the address that medgen explore printed"})
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= MOST:
            self.close_connection = True
            return self._tell(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"a request has at most {MOST} bytes"})
        try:
            asked = json.loads(self.rfile.read(length))
            if not isinstance(asked, dict):
                return self._tell(HTTPStatus.BAD_REQUEST, {"error": "a JSON object is needed"})
            path = urlsplit(self.path).path
            if path == "/understand":
                return self._tell(HTTPStatus.OK, self.server.explorer.understand(str(asked.get("text", ""))))
            if path == "/make":
                return self._tell(HTTPStatus.OK, self.server.explorer.make(asked.get("spec") or {}, asked.get("seed", 0)))
            return self._tell(HTTPStatus.NOT_FOUND, {"error": "there is no such page"})
        except (ValueError, RuntimeError, MemoryError) as error:  # TextError, ScanError, json's, what cannot be built
            return self._tell(HTTPStatus.BAD_REQUEST, {"error": one_line(Case("order", (), "text"), error).removeprefix("order: ")})


def serve(bundle: Bundle, port: int = 0, memory: float | None = None) -> tuple[Server, tempfile.TemporaryDirectory[str]]:
    """Return a server that is ready for `serve_forever`, and the folder of its scans, which goes when it is cleaned up.

    Raises `BundleError` for a bundle that takes no order, OSError for a port that is taken.
    """
    folder = tempfile.TemporaryDirectory(prefix="medgen_explore_")
    try:
        return Server(Explorer(bundle, Path(folder.name), memory), port), folder
    except BaseException:
        folder.cleanup()
        raise
