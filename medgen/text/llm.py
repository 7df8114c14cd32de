"""A language model's reading of a sentence, over the chat completions protocol: an option, never the judge of side or size.

The model answers in the schema of `ScanSpec`. Its answer counts only where it agrees with the rules of `parse` in every side,
size and count; it may add what the rules do not know the words for, such as a kind, a place or an age.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from medgen.text.items import TextError
from medgen.text.spec import Lesion, Range, ScanSpec, reason

KEY = "MEDGEN_LLM_KEY"  #: the environment variable that holds the key, if the endpoint wants one
_LARGEST = 1 << 20  #: bytes of an answer
_PROMPT = (
    "Turn the user's request for a brain MR scan, English or Chinese, into the given JSON schema. What is not said is null. "
    "Sides are the patient's. Lengths are in mm, ages in years as a range of low and high (equal where one was said). A count "
    "is set only where it was said; a singular English noun is 1. Ventricles: factor 1 normal, 1.5 mildly, 2 (the default) "
    "moderately, 3 severely enlarged, 0.6 small. Ungraded atrophy, motion, noise and bias are moderate; denied ones none. "
    "lesions is [] where lesions were denied. Never guess a side or a size. But a midline shift without a direction goes away "
    "from lesions that are all on one side, and a lesion without a side is on the other side than one that is said to be sound."
)


class ModelError(Exception):
    """A language model did not answer, or not as asked: which, why, what to do, in one line."""


def ask(text: str, url: str, model: str, timeout: float = 60) -> ScanSpec:
    """Return what a model at an OpenAI-compatible endpoint makes of a sentence.

    Args:
        text: the sentence. It is sent to the endpoint as it is.
        url: base of the endpoint, such as http://127.0.0.1:11434/v1; a key is read from MEDGEN_LLM_KEY, where that is set.
        model: the model's name there.
        timeout: seconds until the whole answer must be there.

    Raises `ModelError` for anything but a complete answer in the schema. Redirects are not followed, and a key goes out only
    encrypted or to this machine.
    """
    request = {
        "model": model,
        "messages": [{"role": "system", "content": _PROMPT}, {"role": "user", "content": text}],
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "ScanSpec", "strict": True, "schema": schema()},
        },
    }
    answer = _post(url.rstrip("/") + "/chat/completions", request, timeout)
    try:
        choice = json.loads(answer)["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason", "stop")
        refusal, content = message.get("refusal"), message.get("content")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ModelError(f"{url}: the answer is no chat completion; check the URL, which must end before /chat/completions") from None
    if refusal or finish == "content_filter":
        raise ModelError(f"{model}: the model refused to answer; parse without --llm")
    if finish != "stop" or not isinstance(content, str):
        raise ModelError(f"{model}: the answer is incomplete ({finish}); use a model with a longer output, or parse without --llm")
    try:
        return ScanSpec.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{model}: the answer is no valid ScanSpec ({reason(error)}); use a model that keeps to a JSON schema") from None


def schema() -> dict[str, Any]:
    """Return the JSON schema of `ScanSpec` as strict endpoints want it: every property required, no defaults."""

    def strict(node: Any) -> Any:
        if isinstance(node, list):
            return [strict(item) for item in node]
        if not isinstance(node, dict):
            return node
        out = {key: strict(value) for key, value in node.items() if key != "default"}
        if isinstance(out.get("properties"), dict):
            out |= {"required": list(out["properties"]), "additionalProperties": False}
        return out

    return strict(ScanSpec.model_json_schema())


def check(told: ScanSpec, read: ScanSpec) -> list[str]:
    """Return the fields in which a model's reading differs from that of the rules. `TextError` where a side or size does."""
    mine, theirs = weights(read), weights(told)
    for name in [*mine, *(n for n in theirs if n not in mine)]:
        if mine.get(name) != theirs.get(name):
            raise TextError(
                f"the model and the rules disagree on {name}: {_shown(theirs.get(name))} and {_shown(mine.get(name))}; "
                "word the sentence more plainly, or parse without --llm"
            )
    for what, own, other in _places(read, told):
        if own is not None and own != other:
            raise TextError(f"the model and the rules disagree on {what}: {_shown(other)} and {own}; word the sentence more plainly")
    ours, model = read.model_dump(), told.model_dump()
    return [name for name in ours if ours[name] != model[name]]


def weights(spec: ScanSpec) -> dict[str, Any]:
    """Return all that is a side, a size or a count in a specification, by name; the order of lesions does not matter."""
    found: dict[str, Any] = {"the number of lesions": None if spec.lesions is None else len(spec.lesions)}
    for n, lesion in enumerate(_sorted(spec), 1):
        found |= {f"the side of lesion {n}": lesion.side, f"the diameter of lesion {n}": lesion.diameter_mm}
        found |= {f"the count of lesion {n}": lesion.count}
    if spec.ventricles is not None:
        found |= {"the size of the ventricles": spec.ventricles.factor, "the side of the ventricles": spec.ventricles.side}
    if spec.atrophy is not None:
        found["the side of the atrophy"] = spec.atrophy.side
    if spec.midline_shift is not None:
        found |= {"the side of the midline shift": spec.midline_shift.toward, "the midline shift": spec.midline_shift.mm}
    found |= {"the slice thickness": spec.slice_mm, "the voxels": spec.voxel_mm}
    return {name: value for name, value in found.items() if value is not None}


def _sorted(spec: ScanSpec) -> list[Lesion]:
    return sorted(spec.lesions or [], key=lambda s: str((s.side, s.diameter_mm, s.count, s.place)))


def _places(read: ScanSpec, told: ScanSpec) -> list[tuple[str, str | None, str | None]]:
    """Return the places of lesions and of atrophy in two readings that have the same sides and sizes."""
    lesions = enumerate(zip(_sorted(read), _sorted(told)), 1)
    pairs: list[tuple[str, str | None, str | None]] = [(f"the place of lesion {n}", a.place, b.place) for n, (a, b) in lesions]
    own, other = (spec.atrophy.place if spec.atrophy else None for spec in (read, told))
    return [*pairs, ("the place of the atrophy", own, other)]


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value} mm" if isinstance(value, Range) else str(value)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, body: dict[str, Any], timeout: float) -> bytes:
    parts, key = urlsplit(url), os.environ.get(KEY, "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(f"{url}: is no http(s) URL; give one such as http://127.0.0.1:11434/v1")
    local = _is_local(parts.hostname)
    if key and parts.scheme == "http" and not local:
        raise ModelError(f"{url}: the key in {KEY} is not sent unencrypted; use https, or unset it")
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    handlers = [_NoRedirect(), *([urllib.request.ProxyHandler({})] if local else [])]
    ends = time.monotonic() + timeout
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as response:
            answer = bytearray()
            while part := response.read1(65536):
                answer += part
                if len(answer) > _LARGEST:
                    raise ModelError(f"{url}: the answer is longer than {_LARGEST} bytes; check the URL")
                if time.monotonic() > ends:
                    raise TimeoutError
            return bytes(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelError(f"{url}: HTTP {error.code} {error.reason}; check URL, model and the key in {KEY}") from None
    except TimeoutError:
        raise ModelError(f"{url}: no answer within {timeout:g} s; is the model loaded?") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        if isinstance(why, TimeoutError):
            raise ModelError(f"{url}: no answer within {timeout:g} s; is the model loaded?") from None
        raise ModelError(f"{url}: cannot be reached ({why}); is the server running?") from None


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
