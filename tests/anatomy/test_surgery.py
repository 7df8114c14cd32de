from __future__ import annotations

import numpy as np
import pytest

from medgen.anatomy.flow import Room, jacobian, spacing_of, warp_by_field
from medgen.anatomy.sides import world
from medgen.anatomy.surgery import ball, fluid_of, head_of, insert_lesion, noise_of, put, rod, sink, within
from tests.anatomy.phantom import head

NOISE = 5.0
#: T1-like intensities of the phantom's numbers
LOOKS = {0: 0.0, 515: 150.0, 24: 80.0, 4: 80.0, 43: 80.0, 14: 80.0, 15: 80.0, 3: 200.0, 42: 200.0}


def scan(mm: float = 3.0, axes: str = "RAS") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, affine = head("freesurfer", mm, axes)
    image = np.full(labels.shape, 300.0)
    for number, value in LOOKS.items():
        image[labels == number] = value
    image += np.random.default_rng(0).normal(0, NOISE, image.shape) * (labels > 0)
    return image.astype(np.float32), labels, affine


def test_fluid_is_that_of_the_ventricles_or_else_the_darkest_depth() -> None:
    image, labels, affine = scan()
    told = fluid_of(image, affine, np.isin(labels, (4, 43)))
    assert told.value == pytest.approx(80, abs=2) and told.noise == pytest.approx(NOISE, rel=0.3) and told.source == "ventricles"
    guess = fluid_of(image, affine)
    assert guess.value == pytest.approx(80, abs=15) and "T1" in guess.source
    assert fluid_of(image, affine, value=7.0).value == 7 and fluid_of(image, affine, value=7.0).source == "given"


def test_noise_is_measured() -> None:
    image = np.random.default_rng(1).normal(100, 8, (30, 30, 30))
    assert noise_of(image, np.ones(image.shape, bool)) == pytest.approx(8, rel=0.05)
    assert noise_of(image, np.zeros(image.shape, bool)) == 0


def test_what_is_put_has_its_value_and_nothing_changes_beyond_its_edge() -> None:
    image, _, affine = scan()
    mask = ball(affine, image.shape, (3, 20, 40), 24)
    out = put(image, mask, 80.0, NOISE, 0)
    inside = ball(affine, image.shape, (3, 20, 40), 14)
    assert out[inside].mean() == pytest.approx(80, abs=2) and out[inside].std() == pytest.approx(NOISE, rel=0.25)
    beyond = ~ball(affine, image.shape, (3, 20, 40), 24 + 6 * 3)
    assert np.array_equal(out[beyond], image[beyond])
    assert np.array_equal(put(image, np.zeros_like(mask), 1.0, 0, 0), image)


def test_an_inserted_lesion_lies_between_tissue_and_fluid() -> None:
    image, labels, affine = scan()
    mask = ball(affine, image.shape, (-20, 20, 45), 15) & (labels == 2)
    out = insert_lesion(image, mask, 901, fluid_of(image, affine, labels == 4))
    assert out[ball(affine, image.shape, (-20, 20, 45), 8)].mean() == pytest.approx((300 + 80) / 2, abs=8)


@pytest.mark.parametrize("axes", ["RAS", "PSR"])
def test_a_rod_goes_from_its_tip_through_its_entry(axes: str) -> None:
    _, labels, affine = scan(2.0, axes)
    tip, entry = (20.0, 10.0, 5.0), (40.0, 10.0, 65.0)
    mask = rod(affine, labels.shape, tip, entry, 7.0)
    points = world(affine, labels.shape)[mask] - tip
    along = (np.array(entry) - tip) / np.linalg.norm(np.array(entry) - tip)
    assert (points @ along).min() > -1e-4 and (points @ along).max() > 63
    assert np.linalg.norm(points - (points @ along)[:, None] * along, axis=1).max() <= 3.5 + 1e-4
    assert mask.sum() * 8 == pytest.approx(np.pi * 3.5**2 * (points @ along).max(), rel=0.15)


def test_points_outside_of_the_scan_are_refused() -> None:
    with pytest.raises(ValueError, match="300, 0, 0 mm is outside of the scan"):
        ball(np.eye(4), (9, 9, 9), (300, 0, 0), 5)
    with pytest.raises(ValueError, match="needs two points"):
        rod(np.eye(4), (9, 9, 9), (1, 1, 1), (1, 1, 1), 5)


def test_head_and_inside_are_found_without_labels() -> None:
    image, labels, affine = scan()
    found = head_of(image)
    assert 2 * (found & (labels > 0)).sum() / (found.sum() + (labels > 0).sum()) > 0.97
    deep = within(image + np.random.default_rng(0).rayleigh(1, image.shape), affine)
    assert deep.any() and (labels[deep] != 515).all()
    with pytest.raises(ValueError, match="no head"):
        head_of(np.zeros((5, 5, 5)))


def test_a_brain_sinks_into_the_cavity_as_far_as_asked() -> None:
    image, labels, affine = scan()
    cavity = ball(affine, image.shape, (35, 25, 40), 30)
    room = Room(labels % 515 > 0, spacing_of(affine))
    shifts = sink(room, cavity, labels == 24, 5.0, 2)
    fields = [room.field(shift, affine) for shift in shifts]
    for field, mm in zip(fields, (2.5, 5.0)):
        left = warp_by_field(cavity.astype(np.uint8), field, affine, "nearest") > 0
        assert np.linalg.norm(field, axis=-1)[~left].max() == pytest.approx(mm, abs=0.05)
        assert jacobian(field, affine).min() > 0 and np.abs(field[labels % 515 == 0]).max() == 0
        assert 0 < left.sum() < cavity.sum()
    # tissue comes from outwards: towards the cavity's centre it moves inwards
    wall = world(affine, image.shape) - [35, 25, 40]
    shell = (np.linalg.norm(wall, axis=-1) < 19) & ~cavity
    assert ((fields[1] * wall).sum(-1)[shell] > 0).mean() > 0.95
    with pytest.raises(ValueError, match="cannot shift by 30 mm into this cavity: it comes to"):
        sink(room, ball(affine, image.shape, (35, 25, 40), 10), labels == 24, 30.0, 1)
