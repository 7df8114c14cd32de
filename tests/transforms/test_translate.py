from __future__ import annotations

import numpy as np
import pytest
import torch

from medgen.transforms.style import LEVEL
from medgen.transforms.translate import CHANNELS, CONTRASTS, TOP, RandTranslated, tell, through

LINE = [k / 8 * TOP for k in range(9)]
FLIPPED = [TOP - v for v in LINE]
CURVES = {f"{a} to {b}": FLIPPED for a in CONTRASTS for b in CONTRASTS if a != b}


def test_a_curve_is_straight_between_its_knots_and_level_beyond() -> None:
    image = torch.linspace(-0.5, TOP + 1, 50)[None, None, None]
    wanted = (TOP - image.clamp(0, TOP)).clamp(0, TOP)
    assert torch.allclose(through(image, FLIPPED), wanted, atol=1e-3)
    assert torch.allclose(through(image, LINE), image.clamp(0, TOP), atol=1e-3)


def test_the_gradient_goes_through_the_curve() -> None:
    image = torch.full((1, 2, 2, 2), 0.3, requires_grad=True)
    through(image, [2 * v for v in LINE]).sum().backward()
    assert torch.allclose(image.grad, torch.full_like(image, 2.0))  # type: ignore[arg-type]


def test_the_channels_are_guess_scan_spacing_and_contrasts() -> None:
    image = torch.rand(1, 4, 5, 6)
    told = tell(image, (1.0, 1.0, 8.0), "T1", "FLAIR", CURVES)
    assert told.shape == (CHANNELS, 4, 5, 6)
    assert torch.equal(told[0:1], through(image, FLIPPED)) and torch.equal(told[1:2], image)
    assert float(told[2].mean()) == pytest.approx(1.0)  # 2 mm
    assert told[3:].mean((1, 2, 3)).tolist() == [1, 0, 0, 0, 0, 1]


def test_to_its_own_contrast_the_guess_is_the_scan() -> None:
    image = torch.rand(2, 1, 4, 4, 4)
    told = tell(image, torch.tensor([2.0, 2.0, 2.0]), "T2", "T2", CURVES)
    assert told.shape == (2, CHANNELS, 4, 4, 4) and torch.equal(told[:, :1], image)


def test_an_unknown_contrast_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="no contrast 'PD' to translate; choose from: T1, T2, FLAIR"):
        tell(torch.rand(1, 2, 2, 2), (1, 1, 1), "PD", "T1", CURVES)


def contrasts(*there: str) -> np.ndarray:
    """Return (3, 6, 6, 6) whose contrast k is k + 1 times a ramp, -1 where it is not there."""
    ramp = np.linspace(0.1, LEVEL, 216, dtype=np.float32).reshape(6, 6, 6)
    return np.stack([ramp * (k + 1) if name in there else np.full_like(ramp, -1) for k, name in enumerate(CONTRASTS)])


def test_a_pair_is_two_contrasts_of_one_head() -> None:
    make = RandTranslated("scans", CURVES, jitter=0.0, bend=0.0, noise=0.0)
    make.set_random_state(0)
    seen = set()
    for _ in range(30):
        pair = make({"scans": contrasts("T1", "FLAIR"), "spacing": (2.0, 2.0, 2.0)})
        source, target = (int(pair["image"][a:b].mean((1, 2, 3)).argmax()) for a, b in ((3, 6), (6, 9)))
        assert torch.allclose(pair["label"] * (source + 1), pair["image"][1:2] * (target + 1), atol=1e-5)
        seen.add((CONTRASTS[source], CONTRASTS[target]))
    assert seen == {("T1", "FLAIR"), ("FLAIR", "T1")}


def test_a_direction_that_is_named_is_taken_without_noise() -> None:
    make = RandTranslated("scans", CURVES)
    pair = make({"scans": contrasts(*CONTRASTS), "spacing": (2.0, 2.0, 2.0), "direction": "T2 to T1"})
    assert torch.allclose(pair["image"][1], torch.from_numpy(contrasts(*CONTRASTS)[1]))
    assert torch.allclose(pair["label"][0], torch.from_numpy(contrasts(*CONTRASTS)[0]))


def test_a_bend_keeps_air_and_white_matter_and_moves_what_lies_between() -> None:
    make = RandTranslated("scans", CURVES, jitter=0.0, bend=0.5, noise=0.0)
    make.set_random_state(0)
    scans = np.zeros((3, 8, 8, 8), np.float32)
    scans[:, 2:], scans[:, 4:], scans[:, 6:] = 0.25, 0.5, 0.8
    seen = np.asarray([make({"scans": scans, "spacing": (2.0, 2.0, 2.0)})["image"][1, [0, 2, 4, 6], 0, 0].numpy() for _ in range(20)])
    assert np.allclose(seen[:, 0], 0) and np.allclose(seen[:, 2], 0.5) and 0.02 < seen[:, 1].std() < 0.1 and seen[:, 3].std() > 0.02
    assert np.all((seen[:, 1] > 0.25) == (seen[:, 3] < 0.8))


def test_a_crop_of_air_counts_where_the_contrast_was_acquired() -> None:
    scans = contrasts("T1")
    scans[1] = 0
    out = RandTranslated("scans", CURVES)({"scans": scans, "spacing": (2.0, 2.0, 2.0)})
    assert out["image"].shape[0] == CHANNELS


def test_without_pairs_the_real_scan_is_somebody_elses() -> None:
    make = RandTranslated("scans", CURVES, others="others", jitter=0.0, bend=0.0, noise=0.0)
    out = make({"scans": contrasts("T1"), "others": contrasts("T2") * 0.5, "spacing": (2.0, 2.0, 2.0)})
    assert (out["source"], out["target"]) == ("T1", "T2")
    assert torch.allclose(out["label"][0], torch.from_numpy(contrasts("T1")[0])) and torch.equal(out["label"], out["image"][1:2])
    assert torch.allclose(out["real"][0], torch.from_numpy(contrasts("T2")[1] * 0.5))


def test_two_heads_with_nothing_to_translate_are_refused() -> None:
    with pytest.raises(ValueError, match="no contrast to translate: there are T1 and T1"):
        RandTranslated("scans", CURVES)({"scans": contrasts("T1"), "spacing": (2.0, 2.0, 2.0)})


def test_the_same_seed_gives_the_same_pair() -> None:
    pairs = []
    for _ in range(2):
        make = RandTranslated("scans", CURVES)
        make.set_random_state(3)
        pairs.append(make({"scans": contrasts(*CONTRASTS), "spacing": (2.0, 2.0, 2.0)})["image"])
    assert torch.equal(*pairs)
