"""Slips of the pen: what is mended, and that no ordinary English word is taken for another one."""

from __future__ import annotations

import pytest

from medgen.text.lexicon import look_up, near
from medgen.text.ordinary import WORDS
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec


@pytest.mark.parametrize(
    ("slip", "word"), [("lession", "lesion"), ("moton", "motion"), ("lesoin", "lesion"), ("atrohpy", "atrophy"), ("bilaterla", "bilateral"), ("wihtout", "without")]
)
def test_one_slip_is_mended(slip: str, word: str) -> None:
    assert near(slip) == (word,)


def test_ordinary_words_are_no_slips() -> None:
    for word in WORDS:
        assert near(word) == ()
        found = look_up(word, 0)
        assert found is None or found[1] < len(word), f"{word} is in the lexicon"


@pytest.mark.parametrize("word", ["shaking", "lotion", "emotion", "notion", "poise", "funding", "strike", "passes", "brave", "white", "trophy", "smell"])
def test_an_ordinary_word_changes_nothing(word: str) -> None:
    parsed = parse(f"T1 with {word}")
    assert parsed.spec == ScanSpec(contrast="T1") and parsed.ignored == [word] and parsed.warnings == []
