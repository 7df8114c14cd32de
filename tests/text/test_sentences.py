"""The parser on sentences whose meaning was written down before it read them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

import pytest

from medgen.text.items import TextError
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec
from tests.text import scoring

ROWS = [row for files in scoring.FILES.values() for file in files for row in scoring.rows(file)]


def test_two_hundred_sentences_half_chinese_a_third_adversarial() -> None:
    english, chinese = scoring.rows("english"), scoring.rows("chinese")
    assert len(english) == len(chinese) == 100
    assert sum(row.get("adversarial", False) for row in english + chinese) == 67
    assert len({row["text"] for row in ROWS}) == 320
    for row in ROWS:
        assert ("spec" in row) != ("refused" in row)


def test_fields_are_right_and_no_side_or_size_is_silently_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    scoring.main()
    print(capsys.readouterr().out)
    for name in scoring.FILES:
        for part, found in scoring.table(name).items():
            assert found["silent"] == 0, (name, part)
            if name == "tuned":
                assert found["right"] / found["fields"] >= 0.95 and found["refused"] == 0, part


def test_the_last_forty_are_no_worse_than_when_first_read() -> None:
    found = scoring.table("fresh")["all"]
    assert found["sentences"] == 40
    assert found["exact"] >= 33 and found["right"] / found["fields"] >= 0.795 and found["refused"] <= 5


def test_a_wrong_side_is_counted() -> None:
    row = {"text": "5 mm lesion, left insula", "spec": {"lesions": [{"side": "right", "place": "insula", "diameter_mm": 5, "count": 1}]}}
    found = scoring.score(row)
    assert found["silent"] == 1 and found["fields"] - found["right"] == 1
    assert scoring.score({"text": "5 mm lesion, left insula", "refused": "why"})["silent"] == 1


def mirrored(text: str) -> str:
    """Return a text with left and right exchanged."""
    for a, b in (("left", "right"), ("Left", "Right"), ("左", "右"), (" L ", " R ")):
        text = text.replace(a, "\0").replace(b, a).replace("\0", b)
    return text


def spoken(text: str) -> str:
    try:
        return parse(text).spec.model_dump_json(exclude_none=True)
    except TextError:
        return "refused"


@pytest.mark.parametrize("text", [row["text"] for row in ROWS if not any(w in row["text"] for w in ("left out", "right now", "左右", "to L"))])
def test_the_mirrored_sentence_is_the_mirrored_scan(text: str) -> None:
    assert spoken(mirrored(text)) == mirrored(spoken(text))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(", ", " ").replace("，", ""),
        lambda text: text.replace(", ", " and ").replace("，", "和"),
        lambda text: text.replace(". ", ", ").replace("。", "，").replace("; ", ", ").replace("；", "，"),
        str.upper,
        lambda text: text.replace(" mm", "mm").replace(" cm", "cm"),
        lambda text: ("Please make me a scan: " if text.isascii() else "请生成图像：") + text,
    ],
    ids=["no commas", "ands", "no stops", "capitals", "no spaces", "a request"],
)
def test_sentences_in_another_dress_are_refused_rather_than_wrong(change: Callable[[str], str]) -> None:
    for row in ROWS:
        if "spec" in row and (text := change(row["text"])) != row["text"]:
            assert scoring.score(row | {"text": text})["silent"] == 0, text


#: forms of one lesion: side, place, size, name
ENGLISH = ("a {z} mm {n} in the {s} {p}", "{n} of {z} mm in the {s} {p}", "{n} in the {s} {p} measuring {z} mm", "{n}, {s} {p}, {z} mm",
           "{n} ({z} mm) in the {s} {p}", "a {n} {z} mm across, {p}, {s}")  # fmt: skip
CHINESE = ("{s}侧{p}{z}毫米{n}", "{s}{p}见{n}，{z}mm", "{s}侧{p}{n}，直径{z}毫米", "{z}毫米的{n}位于{s}{p}", "{n}，{s}侧{p}，{z}毫米", "{s}{p}{n}（{z}mm）")
NAMES = {"en": {"frontal": "frontal lobe", "insula": "insula", "thalamus": "thalamus", "unspecified": "lesion", "stroke-like": "infarct",
                "tumour-like": "tumour", "left": "left", "right": "right"},
         "zh": {"frontal": "额叶", "insula": "岛叶", "thalamus": "丘脑", "unspecified": "病灶", "stroke-like": "梗死", "tumour-like": "肿瘤",
                "left": "左", "right": "右"}}  # fmt: skip
BESIDE = {"en": ("70-year-old", "5 mm slices", "mild motion", "no noise", "no lesion in the cerebellum", "right-handed", "no atrophy",
                 "left hemiparesis", "4 mm midline shift to the right", "axial", "no right cerebellar tumour"),
          "zh": ("70岁", "层厚5毫米", "轻度运动伪影", "无噪声", "小脑未见病灶", "右利手", "无脑萎缩", "左侧偏瘫", "中线右移4毫米", "轴位",
                 "右侧小脑无肿瘤")}  # fmt: skip
JOINTS = {"en": (", ", ", ", "; ", ". ", " and ", " with ", ", and ", " but "), "zh": ("，", "，", "；", "。", "，并有", "、", "和")}


@pytest.mark.parametrize("seed", range(150))
def test_lesions_in_any_company_are_read_right_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    language = rng.choice(("en", "zh"))
    words, parts, lesions = NAMES[language], [], []
    for _ in range(rng.randint(1, 3)):
        side, place, size = rng.choice(("left", "right")), rng.choice(("frontal", "insula", "thalamus")), rng.randint(3, 60)
        kind = rng.choice(("unspecified", "stroke-like", "tumour-like"))
        form = rng.choice(ENGLISH if language == "en" else CHINESE)
        parts.append(form.format(z=size, n=words[kind], s=words[side], p=words[place]))
        lesions.append({"kind": kind, "side": side, "place": place, "diameter_mm": size, "count": 1 if language == "en" else None})
    for phrase in rng.sample(BESIDE[language], rng.randint(0, 3)):
        parts.insert(rng.randint(0, len(parts)), phrase)
    text = parts[0] + "".join(rng.choice(JOINTS[language]) + part for part in parts[1:])
    try:
        spec = parse(text).spec
    except TextError:
        return
    assert spec.lesions == ScanSpec.model_validate({"lesions": lesions}).lesions, text
    told = json.loads(spec.model_dump_json())
    assert told["slice_mm"] == (5 if "5 mm slices" in text or "层厚" in text else None)
    assert (told["midline_shift"] or {}).get("toward") == ("right" if "midline" in text or "中线" in text else None)


def test_most_lesions_in_company_are_not_refused() -> None:
    refused = 0
    for form in ENGLISH:
        text = form.format(z=12, n="lesion", s="left", p="insula")
        for phrase in BESIDE["en"]:
            for joint in (", ", "; ", ". "):
                refused += spoken(text + joint + phrase) == "refused"
    assert refused <= 0.02 * len(ENGLISH) * len(BESIDE["en"]) * 3


def test_shuffled_words_end_in_a_spec_or_in_one_line() -> None:
    rng = random.Random(0)
    words = [word for row in ROWS for word in re.findall(r"[^\s\u4e00-\u9fff]+|[\u4e00-\u9fff]{1,4}", row["text"])]
    refused = 0
    for _ in range(1000):
        text = rng.choice((" ", "", ", ")).join(rng.choice(words) for _ in range(rng.randint(1, 12)))
        try:
            assert isinstance(parse(text).spec, ScanSpec)
        except TextError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 200 < refused < 1000
