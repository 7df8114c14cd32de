"""What is refused, warned of, echoed; the errors that a user reads."""

from __future__ import annotations

import pytest

from medgen.text.chinese import SIMPLIFIED, TRADITIONAL
from medgen.text.items import TextError
from medgen.text.lexicon import plain, table
from medgen.text.parse import parse
from medgen.text.spec import Lesion, MidlineShift, Range, ScanSpec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5 mm lesion in the left right insula", "left and right"),
        ("5 mm lesion, 7 mm, left insula", "two sizes"),
        ("5 to 7 mm lesion, 6 cm, left insula", "two sizes"),
        ("12 nm lesion, left insula", "unit is not understood"),
        ("12m lesion, left insula", "unit is not understood"),
        ("12 mm2 lesion, left insula", "volume"),
        ("-5 mm lesion", "below zero"),
        ("lesion the size of a pea", "no size"),
        ("lesion, 0 mm, left insula", "outside of 0.5 to 120"),
        ("lfet insula lesion", "not guessed"),
        ("lesion, wihtout motion", "not guessed"),
        ("left zzz, lesion in the insula", "what this is the side of"),
        ("lesion with a 2 mm rim", "what this is the size of"),
        ("lesion right in the insula", "is 'right' a side"),
        ("lesion on the left, possibly also on the right", "choice open"),
        ("the insula lesion on one side", "choice open"),
        ("image left: 5 mm lesion", "how the image is shown"),
        ("又侧岛叶病灶", "choice open"),
        ("左额叶病灶，五公里", "number is not understood"),
        ("no severe motion", "leaves open"),
        ("CT of a lesion", "CT is not supported"),
        ("no atrophy and left insula lesion", "may be denied or not"),
        ("1 left insula lesion and 2 right insula lesions, 5 mm", "2 lesions"),
        ("three lesions, one on the left", "are more than"),
        ("two lesions: left insula 5 mm, right insula 6 mm, left thalamus 4 mm", "are fewer than"),
        ("left and right insula lesions, 5 mm and 7 mm", "which size is where"),
        ("20-year-old elderly woman", "does not fit the age"),
        ("FLAIR after gadolinium", "not supported"),
        ("lesions everywhere except the left insula", "denial only"),
        ("the 12 mm lesion is not in the left insula", "where no lesion is"),
        ("oedema in the left insula", "of what"),
        ("a 300 year old man", "outside of 0 to 120"),
        ("lesion in the left insula.\nIt is in the right insula.", "left and right"),
        ("A lesion in the left insula and a lesion in the right insula. They are 5 mm.", "any of the lesions"),
        ("a small and a large lesion in the left insula", "two words for its size"),
        ("two lesions in the left insula, several of 5 mm", "two counts"),
        ("no large lesions", "only this size denied"),
        ("without lesions larger than 5 mm", "only this size denied"),
        ("无大于5毫米的病灶", "only this size denied"),
        ("x" * 2001, "too long"),
    ],
)
def test_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(TextError) as error:
        parse(text)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12 x 8 mm lesion in the left insula", "the longest of these"),
        ("right-handed, lesion in the left insula", "is no side"),
        ("left arm weakness, lesion in the right insula", "not of the brain"),
        ("lesion in the left insula, 5 mm from the midline", "is a distance"),
        ("lession in the left insula", "was read as 'lesion'"),
        ("multiple lesions in the left insula and right thalamus", "left open"),
        ("slice gap of 1 mm", "not supported; ignored"),
    ],
)
def test_warned_by_name(text: str, words: str) -> None:
    assert any(words in warning for warning in parse(text).warnings)


def test_the_echo_has_every_word_of_weight() -> None:
    parsed = parse("Axial T1 of a 70-year-old woman with hay fever, enlarged ventricles, 12 mm lesion in the left frontal lobe.")
    assert ("left", "side: left") in parsed.understood and ("12 mm", "diameter: 12 mm") in parsed.understood
    assert parsed.ignored == ["hay", "fever"] and parsed.warnings == []


LESION = [("left", "insula", 10)]


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("10 mm lesion in the left insula and no mass effect", LESION),
        ("10 mm lesion in the left insula and no calcification", LESION),
        ("10 mm lesion in the left insula without calcification", LESION),
        ("non-enhancing 10 mm lesion in the left insula", LESION),
        ("10 mm lesion in the left insula, not in the right", LESION),
        ("no atrophy and a 10 mm lesion in the left insula", LESION),
        ("no lesion except a 10 mm one in the left insula", LESION),
        ("左侧岛叶10毫米病灶，未见强化", LESION),
        ("左侧岛叶10毫米不规则病灶", LESION),
        ("未见肿瘤，左侧岛叶10毫米病灶", LESION),
        ("除左侧岛叶10毫米病灶外，未见异常", LESION),
        ("10 mm lesion in the left insula not seen", []),
        ("lesions absent", []),
        ("zero lesions", []),
        ("0个病灶", []),
        ("没有任何病灶", []),
        ("no mass effect or lesion", []),
        ("please don't include any lesions", []),
        ("左侧岛叶病灶消失", []),
        ("无可疑病灶", []),
        ("10 mm lesion in the left insula not calcified", None),
        ("10 mm lesion in the left insula and infarct excluded", None),
        ("no lesion on the left one on the right", None),
        ("no atrophy 10 mm lesion in the left insula", None),
        ("无占位效应左侧岛叶10毫米病灶", None),
        ("无症状病灶，左侧岛叶", None),
    ],
)
def test_what_a_denial_reaches(text: str, there: list[tuple[str, str, float]] | None) -> None:
    if there is None:
        with pytest.raises(TextError):
            parse(text)
    else:
        found = parse(text).spec.lesions or []
        assert [(s.side, s.place, s.diameter_mm and s.diameter_mm.high) for s in found] == there


def test_a_side_is_not_carried_to_what_has_none() -> None:
    found = parse("5 mm lesions in the left frontal lobe and brainstem").spec.lesions or []
    assert [(s.side, s.place) for s in found] == [("left", "frontal"), (None, "brainstem")]
    found = parse("5 mm lesions in the left frontal and parietal lobes").spec.lesions or []
    assert [(s.side, s.place) for s in found] == [("left", "frontal"), ("left", "parietal")]


def test_what_is_not_said_is_none() -> None:
    assert parse("hello").spec == ScanSpec() and parse("").spec == ScanSpec()
    assert parse("no lesions").spec == ScanSpec(lesions=[])


def test_the_same_words_mean_the_same_scan() -> None:
    text = "左侧额叶12毫米病灶，右侧颞叶肿瘤伴水肿"
    assert parse(text) == parse(text)


def test_traditional_and_full_width_are_read_as_the_others() -> None:
    assert len(TRADITIONAL) == len(SIMPLIFIED) == len(set(TRADITIONAL))
    assert plain("左側額葉１２ｍｍ") == "左侧额叶12mm"
    assert not any(character in TRADITIONAL for phrase in table() for character in phrase)


def test_no_phrase_means_two_things() -> None:
    from medgen.text import chinese, english

    phrases = [p for line in filter(None, (english.TABLE + chinese.TABLE).splitlines()) for p in line.partition(": ")[2].split(", ")]
    assert sorted(phrases) == sorted(set(phrases))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Range.model_validate([9, 3]), "backwards"),
        (lambda: Range(), "needs an end"),
        (lambda: Lesion.model_validate({"side": "bilateral", "count": 1}), "cannot be bilateral"),
        (lambda: Lesion.model_validate({"count": 1.5}), "whole numbers"),
        (lambda: Lesion.model_validate({"diameter_mm": 500}), "outside"),
        (lambda: MidlineShift.model_validate({"toward": "left", "mm": 0}), "has no side"),
        (lambda: ScanSpec.model_validate({"slice_mm": 5, "voxel_mm": [1, 1, 3]}), "do not fit"),
        (lambda: ScanSpec.model_validate({"hat": 1}), "Extra inputs"),
    ],
)
def test_an_impossible_spec_is_refused(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        make()
