"""Sides that are of something else or sound, and sizes that are compared: right in side and size, or refused in one line."""

from __future__ import annotations

import pytest

from medgen.text.items import TextError
from medgen.text.parse import parse

#: side, place, least and greatest diameter in mm of each lesion
READ: dict[str, list[tuple[str | None, str | None, float | None, float | None]]] = {
    # where one side is sound, a lesion without a side is on the other one
    "right hemisphere intact, 9 mm frontal lesion": [("left", "frontal", 9, 9)],
    "right hemisphere preserved and 9 mm frontal lesion": [("left", "frontal", 9, 9)],
    "frontal lesion of 9 mm, left hemisphere spared": [("right", "frontal", 9, 9)],
    "the left hemisphere is normal, 9 mm frontal lesion": [("right", "frontal", 9, 9)],
    "left hemisphere healthy, 9 mm frontal lesion": [("right", "frontal", 9, 9)],
    "9 mm frontal lesion. The left hemisphere is unremarkable.": [("right", "frontal", 9, 9)],
    "uninvolved left hemisphere, frontal lesion of 9 mm": [("right", "frontal", 9, 9)],
    "9 mm frontal lesion; right hemisphere unaffected": [("left", "frontal", 9, 9)],
    "the left is sound; 9 mm frontal lesion": [("right", "frontal", 9, 9)],
    "left frontal lobe normal, 9 mm frontal lesion": [("right", "frontal", 9, 9)],
    "9 mm frontal lesion sparing the left hemisphere": [("right", "frontal", 9, 9)],
    "9 mm frontal lesion, not on the left": [("right", "frontal", 9, 9)],
    "no lesion on the left, 9 mm frontal lesion": [("right", "frontal", 9, 9)],
    "left hemisphere normal, frontal lesion of 9 mm, insula lesion of 5 mm": [("right", "frontal", 9, 9), ("right", "insula", 5, 5)],
    "右半球正常，额叶9毫米病灶": [("left", "frontal", 9, 9)],
    "右侧大脑半球未见异常，额叶9毫米病灶": [("left", "frontal", 9, 9)],
    "右侧大脑半球完好，额叶9毫米病灶": [("left", "frontal", 9, 9)],
    "左侧未受累，额叶9毫米病灶": [("right", "frontal", 9, 9)],
    "额叶9毫米病灶，左侧大脑半球完整": [("right", "frontal", 9, 9)],
    "左额叶未见异常，额叶9毫米病灶": [("right", "frontal", 9, 9)],
    "额叶9毫米病灶，右侧阴性": [("left", "frontal", 9, 9)],
    "左半球无病灶，额叶9毫米病灶": [("right", "frontal", 9, 9)],
    # nothing is taken from a sound place that does not reach the lesion, or is of another finding
    "left insula normal, 9 mm frontal lesion": [(None, "frontal", 9, 9)],
    "no infarct on the left, 9 mm frontal tumour": [(None, "frontal", 9, 9)],
    "no haemorrhage on the left, 9 mm frontal lesion": [(None, "frontal", 9, 9)],
    "9 mm frontal lesion and no haemorrhage on the left": [(None, "frontal", 9, 9)],
    "额叶9毫米病灶，左侧未见出血": [(None, "frontal", 9, 9)],
    "left ventricle intact, 9 mm frontal lesion": [(None, "frontal", 9, 9)],
    "右侧脑室扩大，左侧正常，额叶9毫米病灶": [(None, "frontal", 9, 9)],
    "右额叶9毫米病灶，其余正常": [("right", "frontal", 9, 9)],
    "9 mm right frontal lesion, right hemisphere otherwise normal": [("right", "frontal", 9, 9)],
    "numbness on the left, 2 cm frontal tumour": [(None, "frontal", 20, 20)],
    # one side rather than the other
    "left rather than the right frontal lobe, 9 mm lesion": [("left", "frontal", 9, 9)],
    "9 mm lesion in the left instead of the right frontal lobe": [("left", "frontal", 9, 9)],
    "9 mm lesion in the right frontal lobe instead of the left": [("right", "frontal", 9, 9)],
    "9 mm lesion in the frontal rather than the parietal lobe on the left": [("left", "frontal", 9, 9)],
    "左侧而非右侧额叶9毫米病灶": [("left", "frontal", 9, 9)],
    "左侧而不是右侧额叶9毫米病灶": [("left", "frontal", 9, 9)],
    "9毫米病灶位于右侧额叶而不是左侧": [("right", "frontal", 9, 9)],
    # axes of one size
    "左额叶病灶前后径15mm，左右径8mm": [("left", "frontal", 15, 15)],
    "左额叶病灶前后径15mm，上下径8mm": [("left", "frontal", 15, 15)],
    "左额叶病灶，前后15mm，左右8mm，上下9mm": [("left", "frontal", 15, 15)],
    "左额叶病灶15mm(前后)×8mm(左右)": [("left", "frontal", 15, 15)],
    "左额叶病灶长15mm，宽8mm": [("left", "frontal", 15, 15)],
    "左额叶病灶最大层面直径15mm": [("left", "frontal", 15, 15)],
    "left frontal lesion AP 15 mm, transverse 8 mm, craniocaudal 9 mm": [("left", "frontal", 15, 15)],
    "left frontal lesion 15 mm (AP) x 8 mm (transverse)": [("left", "frontal", 15, 15)],
    "lesions left frontal, 15 mm long and 8 mm wide": [("left", "frontal", 15, 15)],
    # bounds behind a size
    "左额叶病灶2cm+": [("left", "frontal", 20, None)],
    "左额叶病灶1厘米余": [("left", "frontal", 10, None)],
    "左额叶病灶10毫米多": [("left", "frontal", 10, None)],
    "左额叶病灶比5mm小一点": [("left", "frontal", None, 5)],
    "左额叶病灶比1厘米略大": [("left", "frontal", 10, None)],
    "左额叶病灶10毫米不到": [("left", "frontal", None, 10)],
    "左额叶病灶较5mm小": [("left", "frontal", None, 5)],
    "left frontal lesion a bit less than 5 mm": [("left", "frontal", None, 5)],
    "left frontal lesion 2 cm plus": [("left", "frontal", 20, None)],
    "left frontal lesion of 12 mm+, mild motion": [("left", "frontal", 12, None)],
    "left frontal lesion, 5 mm or less": [("left", "frontal", None, 5)],
    "left frontal lesion of 5 mm or more": [("left", "frontal", 5, None)],
    "left frontal lesion 5 mm at most": [("left", "frontal", None, 5)],
    "left frontal tumour 18mm+ oedema": [("left", "frontal", 18, 18)],
    # the largest of one is its size
    "a single left frontal lesion, the largest 12 mm": [("left", "frontal", 12, 12)],
    "左额叶单个病灶，最大12毫米": [("left", "frontal", 12, 12)],
    "left frontal lesion 12 mm, a smaller lesion of 5 mm in the right insula": [("left", "frontal", 12, 12), ("right", "insula", 5, 5)],
    "left frontal lesions up to 12 mm": [("left", "frontal", None, 12)],
}

#: words that the refusal names
REFUSED = {
    "right frontal lobe intact, 9 mm lesion": "right frontal lobe", "right frontal lobe preserved, 9 mm lesion": "right frontal lobe",
    "both hemispheres normal, 9 mm frontal lesion": "both hemispheres", "right hemisphere normal, 9 mm right frontal lesion": "has one",
    "右额叶9毫米病灶，右侧半球正常": "右侧半球", "脑干9毫米病灶，左半球正常": "左半球", "双侧半球未见异常，额叶9毫米病灶": "双侧",
    "left temporal lobe normal, 9 mm frontotemporal lesion": "on which side", "no lesions on the left except a 9 mm frontal one": "left or right",
    "9 mm lesion in the left, not the right frontal lobe": "right frontal lobe", "9毫米病灶在左侧，而不是右侧额叶": "右侧额叶",
    "12 mm left frontal lesion, larger than the 5 mm right frontal lesion": "larger than the 5 mm",
    "5 mm right frontal lesion, smaller than the 12 mm left frontal lesion": "smaller than the 12 mm",
    "12 mm left frontal lesion, larger than the right frontal lesion": "larger than the right",
    "12 mm left frontal lesion, bigger than the one on the right": "bigger than the one",
    "左额叶病灶12毫米，大于5毫米的右额叶病灶": "大于5毫米", "左额叶病灶12毫米，小于右额叶病灶": "小于右", "左额叶病灶比右额叶病灶大，12毫米": "比右额叶病灶大",
    "lesions in the left frontal and right parietal lobes, the latter 12 mm": "the latter",
    "lesions in the left frontal and right parietal lobes, the former 12 mm": "the former",
    "lesions in the left frontal lobe and right insula, the second 5 mm": "the second",
    "左额叶和右顶叶病灶，后者12毫米": "后者", "左额叶和右顶叶病灶，前者12毫米": "前者", "左额叶两个病灶，大者12毫米": "大者",
    "左额叶两个病灶，大的12毫米": "大的12毫米", "two lesions in the left frontal lobe, the larger 12 mm": "the larger",
    "left frontal lesion 12 mm, a smaller one on the right": "smaller", "left frontal lesion, 12 mm; right frontal lesion, same size": "same size",
    "left frontal lesion, 12 mm; right frontal lesion of equal size": "equal size", "left frontal lesion, 12 mm; identical right frontal lesion": "identical",
    "left frontal lesion, 12 mm; a similar lesion on the right": "similar",
    "左额叶病灶12毫米，右额叶病灶相同大小": "相同大小", "左额叶病灶12毫米，右额叶病灶大小相同": "大小相同", "左额叶病灶12毫米，右额叶病灶一样大": "一样大",
    "multiple left frontal lesions, the largest 12 mm": "the largest 12 mm", "left frontal lesions, the largest being 12 mm": "the largest being 12 mm",
    "multiple left frontal lesions, the largest lesion 12 mm": "the largest lesion", "左额叶多发病灶，最大1.2cm": "最大1.2cm", "左额叶多发病灶，最大病灶12毫米": "最大病灶",
    "marker on the left, 2 cm frontal tumour": "marker on the left", "biopsy from the right, 2 cm frontal tumour": "biopsy from the right",
    "2 cm frontal tumour, marker on the left": "marker on the left", "electrode in the left frontal lobe, 9 mm parietal lesion": "electrode in the left",
    "patient lying on the left, 2 cm frontal tumour": "patient lying on the left", "导管位于右侧，额叶2厘米肿瘤": "导管位于右侧", "右侧皮肤标记，额叶2厘米肿瘤": "皮肤标记",
    "标记在左侧，额叶2厘米肿瘤": "标记在左侧", "ventricles enlarged on both sides, right normal": "right normal",
    "midline shift from the right, 5 mm": "from the right", "midline shift 5 mm away from the left": "away from the left",
    "midline shift towards the tumour, left frontal tumour 3 cm": "towards 'the tumour'", "左额叶肿瘤3厘米，中线向肿瘤移位": "towards '肿瘤'",
    "left frontal lesion 12 mm, same-sized lesion in the right insula": "same-sized", "left frontal lesion not larger than the previous 12 mm": "larger than",
    "5 mm midline shift away from the lesion": "left open", "left and right frontal tumours, midline shift to the opposite side": "left open",
}  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_side_and_size_are_the_lesions_own(text: str) -> None:
    found = parse(text).spec.lesions or []
    ends = [(s.diameter_mm and s.diameter_mm.low, s.diameter_mm and s.diameter_mm.high) for s in found]
    assert [(s.side, s.place, *end) for s, end in zip(found, ends)] == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_has_no_side_or_size_of_its_own_is_refused(text: str) -> None:
    with pytest.raises(TextError) as error:
        parse(text)
    assert REFUSED[text] in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["right hemisphere intact, 9 mm frontal lesion", "右半球正常，额叶9毫米病灶"])
def test_a_side_that_was_concluded_is_echoed(text: str) -> None:
    assert any("side: left, since" in meaning for _, meaning in parse(text).understood)


@pytest.mark.parametrize("text", ["left ventricle enlarged, right normal", "Left ventricle enlarged. Right normal.", "左侧脑室扩大，右侧正常"])
def test_a_normal_ventricle_denies_no_lesion(text: str) -> None:
    spec = parse(text).spec
    assert spec.lesions is None and spec.ventricles is not None and (spec.ventricles.factor, spec.ventricles.side) == (2, "left")


@pytest.mark.parametrize(("text", "factor"), [("ventricles larger than normal", 2), ("ventricles no larger than normal", 1), ("脑室小于正常", 0.6)])
def test_ventricles_are_compared_with_normal_ones(text: str, factor: float) -> None:
    ventricles = parse(text).spec.ventricles
    assert ventricles is not None and ventricles.factor == factor


@pytest.mark.parametrize(
    ("text", "toward", "mm"),
    [
        ("left frontal tumour, midline shift", "right", None),
        ("midline shift 5 mm, left frontal tumour", "right", 5),
        ("left frontal tumour with midline shift 5 mm away from it", "right", 5),
        ("right frontal tumour with 5 mm midline shift away from the tumour", "left", 5),
        ("left frontal tumour, midline shift to the opposite side", "right", None),
        ("左额叶肿瘤3厘米，中线移位5毫米", "right", 5),
        ("左额叶肿瘤3厘米，中线向对侧移位5毫米", "right", 5),
        ("left frontal tumour, 5 mm midline shift to the left", "left", 5),
        ("left and right frontal tumours, midline shift", None, None),
        ("brainstem tumour with midline shift of 5 mm", None, 5),
    ],
)
def test_a_midline_shift_goes_away_from_lesions_on_one_side(text: str, toward: str | None, mm: float | None) -> None:
    parsed = parse(text)
    shift = parsed.spec.midline_shift
    assert shift is not None and (shift.toward, shift.mm and shift.mm.low) == (toward, mm)
    assert toward is None or any(toward in meaning for _, meaning in parsed.understood)
