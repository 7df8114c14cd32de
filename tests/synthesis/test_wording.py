"""What is said in words is read back as it was: over specifications such as scans are described by."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen.synthesis.ventricles import WORDS
from medgen.synthesis.wording import LANGUAGES, sentence
from medgen.text.parse import parse
from medgen.text.spec import Lesion, Range, ScanSpec, Ventricles

PLACES = Lesion.model_fields["place"].annotation.__args__[0].__args__  # type: ignore[union-attr]
KINDS = ("ms-like", "stroke-like", "tumour-like", "unspecified")
ORIENTATIONS = ["".join(axes) for axes in itertools.product("RLAPSI", repeat=3) if len({"RLAPSI".index(a) // 2 for a in axes}) == 3]
mm = st.integers(5, 1200).map(lambda tenths: tenths / 10)
voxel = st.integers(20, 1500).map(lambda hundredths: hundredths / 100)


def ordered(pair: tuple[float, float]) -> Range:
    return Range(low=min(pair), high=max(pair))


lesion = st.builds(
    Lesion,
    kind=st.sampled_from(KINDS),
    side=st.sampled_from(["left", "right", None]),
    place=st.sampled_from([*PLACES, None]),
    diameter_mm=st.tuples(mm, mm).map(ordered) | mm.map(lambda v: Range(low=v, high=v)),
    count=st.integers(1, 99).map(lambda n: Range(low=n, high=n)) | st.just(Range(low=100)),
    oedema=st.sampled_from([True, False, None]),
)
spec = st.builds(
    ScanSpec,
    plane=st.sampled_from(["axial", "coronal", "sagittal", None]),
    contrast=st.sampled_from(["T1", "T2", "FLAIR", "T1c", None]),
    voxel_mm=st.lists(voxel, min_size=3, max_size=3) | voxel.map(lambda v: [v] * 3) | st.none(),
    age_years=st.tuples(st.integers(20, 90), st.integers(20, 90)).map(ordered) | st.none(),
    ventricles=st.builds(Ventricles, factor=st.sampled_from(WORDS), side=st.sampled_from(["left", "right", None])) | st.none(),
    lesions=st.lists(lesion, max_size=3) | st.none(),
)


@settings(max_examples=100, deadline=None)
@given(spec, st.sampled_from([*ORIENTATIONS, ""]), st.sampled_from(LANGUAGES))
def test_what_is_said_is_read_back(wanted: ScanSpec, orientation: str, language: str) -> None:
    assert parse(sentence(wanted, orientation, language)).spec == wanted


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("side", ["left", "right", None])
def test_every_place_of_every_kind(language: str, place: str, side: str) -> None:
    for kind, oedema in itertools.product(KINDS, (True, False, None)):
        wanted = ScanSpec(lesions=[
            Lesion(kind=kind, side=side, place=place, diameter_mm=12.5, count=count, oedema=oedema) for count in (1, 3)
        ])  # fmt: skip
        assert parse(sentence(wanted, "", language)).spec == wanted


def test_an_example_as_it_reads() -> None:
    wanted = ScanSpec(
        plane="axial", contrast="FLAIR", voxel_mm=[0.9, 0.9, 5], age_years=[52, 68], ventricles=Ventricles(factor=1.5),
        lesions=[Lesion(side="left", place="frontal", diameter_mm=12, count=1), Lesion(kind="ms-like", side="right", place="periventricular", diameter_mm=[3, 8], count=4)],
    )  # fmt: skip
    assert sentence(wanted, "LPS") == (
        "Axial FLAIR, voxels of 0.9 x 0.9 x 5 mm, stored LPS, aged 52 to 68, mildly enlarged ventricles. "
        "One lesion of 12 mm in the left frontal lobe. 4 MS lesions of 3 to 8 mm, right periventricular."
    )
    assert sentence(wanted, "LPS", "zh") == (
        "轴位FLAIR，体素0.9×0.9×5毫米，存储LPS，52至68岁，脑室轻度扩大。左侧额叶12毫米病灶1个。右侧脑室旁3至8毫米多发性硬化病灶4个。"
    )


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="choose from: en, zh"):
        sentence(ScanSpec(), language="fr")
