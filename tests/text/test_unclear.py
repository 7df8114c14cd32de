"""Counts in words, and words between there and not there: right, or refused in one line."""

from __future__ import annotations

import pytest

from medgen.text.items import TextError
from medgen.text.parse import parse

COUNTS = {
    "a dozen lesions": (12, 12), "A dozen lesions": (12, 12), "dozen lesions": (12, 12), "half a dozen lesions": (6, 6), "a half-dozen lesions": (6, 6),
    "two dozen lesions": (24, 24), "2 dozen MS lesions": (24, 24), "a hundred lesions": (100, 100), "half a hundred lesions": (50, 50),
    "at least a dozen lesions": (12, None), "between a dozen and twenty lesions": (12, 20), "five to a dozen lesions": (5, 12),
    "a couple of lesions": (2, 2), "couple of lesions": (2, 2), "pair of lesions": (2, 2), "a trio of lesions": (3, 3), "a number of lesions": (3, 6),
    "lots of lesions": (10, 30), "a great many lesions": (10, 30), "more than one lesion": (2, None), "at least one lesion": (1, None),
    "fewer than three lesions": (None, 2), "no fewer than three lesions": (3, None), "no more than three lesions": (None, 3),
    "upwards of ten lesions": (10, None), "in excess of ten lesions": (11, None), "as many as ten lesions": (None, 10),
    "一打病灶": (12, 12), "半打病灶": (6, 6), "一对病灶": (2, 2), "一對病灶": (2, 2), "好几个病灶": (3, 6), "好多病灶": (10, 30), "超过3个病灶": (4, None),
    "至少3个病灶": (3, None), "少于3个病灶": (None, 2), "多达3个病灶": (None, 3), "不下3个病灶": (3, None), "双侧各2个病灶": (4, 4),
}  # fmt: skip
NO_COUNTS = (
    "scores of lesions", "dozens of lesions", "hundreds of lesions", "a score of lesions", "quite a few lesions", "very few lesions", "few dozen lesions",
    "a thousand lesions", "pairs of lesions", "three clusters of lesions", "two rows of small lesions", "a cluster of lesions", "a series of 5 mm lesions",
    "one hundred and twenty lesions", "twenty-odd lesions", "10+ lesions", "ten plus lesions", "one or two lesions", "1 lesions", "two T1 scans with lesions",
    "two lesions on each side", "three lesions in each insula", "no multiple lesions", "no two lesions", "not many lesions", "not all lesions",
    "两打病灶", "数十个病灶", "几十个病灶", "十几个病灶", "10多个病灶", "10余个病灶", "上百个病灶", "不止一个病灶", "不少病灶", "三五个病灶", "没几个病灶",
)  # fmt: skip
NEARLY = (
    "scarcely any", "hardly any", "barely any", "barely visible", "next to no", "almost no", "nearly no", "virtually no", "practically no", "essentially no",
    "few if any", "few, if any,", "little or no", "little to no", "little sign of", "all but absent", "anything but", "far from any", "rarely", "seldom",
    "negligible", "doubtful", "invisible", "not only", "nothing but", "no doubt", "no change in", "unless there are", "fails to show", "ignoring", "sans",
)  # fmt: skip
FAST = (
    "几乎没有", "几乎无", "幾乎沒有", "基本未见", "近乎没有", "差不多没有", "极少", "很少", "鲜见", "难见", "難見", "寥寥无几的", "不乏", "不无", "不能排除", "不除外", "缺乏", "别画",
)  # fmt: skip
DENIED = ("wasn't any", "there weren't", "didn't show", "won't show", "shouldn't contain", "dont show", "not a single", "absent")


@pytest.mark.parametrize("text", COUNTS)
def test_a_count_in_words_is_that_many(text: str) -> None:
    low, high = COUNTS[text]
    for sentence in (text, f"T1, {text}, 5 mm" if text.isascii() else f"T1，{text}，5毫米"):
        found = parse(sentence).spec.lesions or []
        assert [(s.count and s.count.low, s.count and s.count.high) for s in found] == [(low, high)], sentence


@pytest.mark.parametrize("text", NO_COUNTS)
def test_a_count_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TextError) as error:
        parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", NEARLY)
@pytest.mark.parametrize("form", ["{} lesions", "T1 of a man, {} lesions in the left insula", "{} motion", "FLAIR with {} atrophy"])
def test_a_near_denial_is_neither_there_nor_absent(words: str, form: str) -> None:
    with pytest.raises(TextError, match="leaves open|may belong"):
        parse(form.format(words))


@pytest.mark.parametrize("words", FAST)
@pytest.mark.parametrize("form", ["{}病灶", "T1，男性，左侧岛叶{}病灶", "{}运动伪影"])
def test_a_near_denial_in_chinese_too(words: str, form: str) -> None:
    with pytest.raises(TextError, match="leaves open"):
        parse(form.format(words))


@pytest.mark.parametrize("text", ["lesions all but absent", "lesions are nearly absent", "lesion not excluded", "lesions are not absent", "病灶几乎消失", "病灶极少"])
def test_a_near_denial_may_stand_behind(text: str) -> None:
    with pytest.raises(TextError, match="leaves open"):
        parse(text)


@pytest.mark.parametrize("words", DENIED)
def test_a_plain_denial_is_still_one(words: str) -> None:
    assert parse(f"T1, {words} lesions").spec.lesions == []


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("lesion of almost 12 mm", 12, 12), ("nearly round 12 mm lesion", 12, 12), ("差不多10毫米病灶", 10, 10), ("lesion of more than 12 mm", 12, None)],
)
def test_about_a_size_is_that_size(text: str, low: float, high: float | None) -> None:
    [lesion] = parse(text).spec.lesions or []
    assert lesion.diameter_mm is not None and (lesion.diameter_mm.low, lesion.diameter_mm.high) == (low, high)
