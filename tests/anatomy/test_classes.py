from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.classes import LESIONS, NAMES, SCHEMES, classes_of, scheme_of


def test_no_number_of_a_scheme_has_two_classes_and_every_class_has_a_name() -> None:
    for table in SCHEMES.values():
        numbers = [n for members in table.values() for n in members]
        assert len(numbers) == len(set(numbers))
        assert max(table) < len(NAMES)


@pytest.mark.parametrize(
    ("labels", "scheme", "classes"),
    [([0, 2, 41, 4, 43, 17, 16, 24, 515], "freesurfer", [0, 2, 2, 3, 3, 5, 8, 9, 10]),
     ([0, 1, 81, 51, 52, 101, 35, 38], "dlmuse", [0, 9, 2, 3, 3, 1, 8, 6]),
     ([0, 1, 2, 3, 6, 9, 13], "medgen", [0, 1, 2, 3, 6, 9, 13])],
)  # fmt: skip
def test_the_scheme_is_found_and_numbers_become_classes(labels: list[int], scheme: str, classes: list[int]) -> None:
    array = np.array(labels)
    assert scheme_of(array) == scheme
    assert classes_of(array).tolist() == classes


@pytest.mark.parametrize("scheme", ["freesurfer", "dlmuse", "medgen"])
def test_lesions_have_the_same_numbers_in_every_scheme(scheme: str) -> None:
    assert classes_of(np.array(sorted(LESIONS)), scheme).tolist() == [13, 14, 15, 16, 9]


@pytest.mark.parametrize(
    ("labels", "scheme", "message"),
    [([0, 5000], "auto", "fits no scheme"), ([0, 81, 251], "auto", "fits no scheme"), ([0, 2], "auto", "name its scheme"),
     ([0.5], "auto", "no label map"), ([-1], "auto", "no label map"), ([2], "talairach", "choose from: auto, freesurfer"),
     ([0, 81], "freesurfer", "freesurfer has no label 81")],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused(labels: list[float], scheme: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classes_of(np.array(labels), scheme)
