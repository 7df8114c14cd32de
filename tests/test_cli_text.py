"""`medgen parse`, as a user types it."""

from __future__ import annotations

import json

import pytest

from tests.test_cli import call
from tests.text.test_llm import ANSWER, Endpoint, endpoint

__all__ = ["endpoint"]  # a fixture
TEXT = "12 mm lesion in the left frontal lobe, quite odd"


def test_it_tells_what_it_understood_and_ignored() -> None:
    code, out, _ = call("parse", TEXT)
    assert code == 0 and "understood:     left = side: left" in out and "ignored:        quite, odd" in out
    assert '"side": "left", "place": "frontal", "diameter_mm": {"low": 12.0, "high": 12.0}' in out


def test_json() -> None:
    code, out, _ = call("parse", "左侧额叶12毫米病灶", "--json")
    told = json.loads(out)
    assert code == 0 and told["spec"]["lesions"][0]["side"] == "left" and ["左侧", "side: left"] in told["understood"]


def test_a_contradiction_is_one_line_and_exit_code_2() -> None:
    code, out, err = call("parse", "12 mm lesion, 15 mm, in the left frontal lobe")
    assert code == 2 and out == "" and err.count("\n") == 1 and "two sizes" in err


def test_a_model_is_shown_and_checked(endpoint: Endpoint) -> None:
    endpoint.completes(ANSWER)
    code, out, _ = call("parse", TEXT, "--llm", endpoint.url, "--model", "m")
    assert code == 0 and '"kind": "tumour-like"' in out and "(by the model)" in out
    code, out, _ = call("parse", TEXT, "--llm", endpoint.url, "--model", "m", "--json")
    assert code == 0 and json.loads(out)["by_model"] == ["lesions"] and json.loads(out)["model"] == "m"
    endpoint.completes({"lesions": [ANSWER["lesions"][0] | {"side": "right"}]})
    code, out, err = call("parse", TEXT, "--llm", endpoint.url, "--model", "m")
    assert code == 2 and out == "" and "disagree on the side of lesion 1: right and left" in err
    endpoint.says(500, b"")
    assert call("parse", TEXT, "--llm", endpoint.url, "--model", "m")[0] == 2


@pytest.mark.parametrize("extra", [("--llm", "http://127.0.0.1:1"), ("--model", "m")])
def test_model_and_endpoint_go_together(extra: tuple[str, ...]) -> None:
    code, _, err = call("parse", TEXT, *extra)
    assert code == 2 and "go together" in err
