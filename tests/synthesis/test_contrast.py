from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.classes import classes_of
from medgen.anatomy.lesions import place_lesion
from medgen.synthesis.contrast import contrast_of
from tests.anatomy.phantom import head
from tests.synthesis.phantom import LEVELS, painted


@pytest.mark.parametrize("contrast", LEVELS)
def test_contrasts_are_told_with_a_segmentation_that_is_partly_wrong(contrast: str) -> None:
    labels, affine = head()
    tumour = place_lesion(labels, affine, "freesurfer", 40, kind="tumour-like", side="left", place="white matter", seed=1).labels
    image, classes = painted(tumour, "freesurfer", contrast), classes_of(tumour, "freesurfer")
    assert contrast_of(image, classes).contrast == contrast
    assert contrast_of(7 * image, classes).contrast == contrast  # any unit
    wrong = np.where(np.random.default_rng(0).uniform(size=image.shape) < 0.25, np.roll(classes, 6, 0), classes)
    assert contrast_of(image, wrong).contrast == contrast


def test_enhancement_alone_makes_the_difference() -> None:
    labels, _ = head()
    image = painted(labels, "freesurfer", "T1c")  # nothing takes the agent up
    found = contrast_of(image, classes_of(labels, "freesurfer"))
    assert found.contrast == "T1" and found.margin > 1


def test_what_cannot_be_told_is_refused() -> None:
    labels, _ = head()
    classes = classes_of(labels, "freesurfer")
    with pytest.raises(ValueError, match="0 voxels of white matter"):
        contrast_of(np.ones(classes.shape), np.where(classes == 2, 1, classes))
    with pytest.raises(ValueError, match="above 0 is needed"):
        contrast_of(np.zeros(classes.shape), classes)
