from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medgen.anatomy.classes import NAMES
from medgen.transforms.style import CHANNELS, CONTRASTS, LEVEL, FinishScand, PaintClassesd, RandRealStyled

STYLE = {"mean": [0.0] + [n / 20 for n in range(1, len(NAMES))], "sd": [0.0] + [0.01] * (len(NAMES) - 1)}
STYLES = {"T1": STYLE, "T2": {"mean": STYLE["mean"][::-1], "sd": STYLE["sd"]}}


def labels() -> MetaTensor:
    """Return white matter (2) with ventricles (3) in it."""
    array = np.zeros((1, 20, 20, 20), np.float32)
    array[:, 2:18, 2:18, 2:18] = 2
    array[:, 8:12, 8:12, 8:12] = 3
    return MetaTensor(torch.from_numpy(array), affine=torch.diag(torch.tensor([2.0, 2.0, 1.0, 1.0])))


def paint(**options: object) -> np.ndarray:
    chosen = {"styles": STYLES, "scheme": "medgen", "bias": 0.0, "variation": 0.0, **options}
    return np.asarray(PaintClassesd("image", **chosen)({"image": labels()})["image"])  # type: ignore[arg-type]


def test_the_prior_has_each_class_at_its_mean_and_the_channels_tell_the_rest() -> None:
    channels = paint(contrast="T2")
    assert channels.shape == (CHANNELS, 20, 20, 20)
    means = STYLES["T2"]["mean"]
    assert channels[0, 5, 5, 5] == pytest.approx(means[2], abs=1e-3) and channels[0, 10, 10, 10] == pytest.approx(means[3], abs=0.02)
    assert (channels[0, 0] == 0).all() and (channels[1, 0] == 0).all()  # air stays one value, so that its tiles cost nothing
    assert np.unique(channels[2]) == pytest.approx(np.cbrt(4) / 2)
    assert [float(channels[3 + k].mean()) for k in range(len(CONTRASTS))] == [float(name == "T2") for name in CONTRASTS]
    classes = channels[3 + len(CONTRASTS) :]
    assert (classes.sum(0) == 1).all() and np.array_equal(classes.argmax(0), np.asarray(labels()[0]))


def test_a_seed_is_one_scan_and_another_seed_another() -> None:
    one, same, other = (paint(seed=seed, bias=0.2, variation=1.0) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and np.abs(one[0] - other[0]).max() > 0.01


def test_the_bias_field_keeps_its_range_and_grows_with_the_field() -> None:
    flat = paint()[0]
    for field_t, most in ((3.0, 0.2), (1.5, 0.1)):
        ratio = paint(bias=0.2, field_t=field_t)[0][flat > 0] / flat[flat > 0]
        assert 1 - most - 1e-5 <= ratio.min() and ratio.max() <= 1 + most + 1e-5
        assert np.ptp(ratio) > most / 2


def test_what_was_ordered_comes_before_the_settings() -> None:
    data = {"image": labels(), "order": json.dumps({"contrast": "T2", "bias": 0.0})}
    assert float(PaintClassesd("image", STYLES, "T1", "medgen", variation=0.0)(data)["image"][5].mean()) == 1


@pytest.mark.parametrize(
    ("array", "contrast", "message"),
    [(np.zeros((1, 4, 4, 4)), "T1", "empty"), (np.full((1, 4, 4, 4), 1.5), "T1", "no label map"), (np.ones((1, 4, 4, 4)), "PD", "no style for 'PD'")],
)
def test_what_cannot_be_painted_is_refused(array: np.ndarray, contrast: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PaintClassesd("image", STYLES, contrast, "medgen")({"image": MetaTensor(torch.from_numpy(array))})


def test_noise_is_as_stated_and_white_matter_comes_out_at_its_level() -> None:
    image = torch.full((1, 40, 40, 40), LEVEL)
    made = np.asarray(FinishScand("pred", noise=0.1)({"pred": image})["pred"])
    assert made.mean() == pytest.approx(500, rel=0.02) and made.std() == pytest.approx(50, rel=0.03)
    assert np.array_equal(made, np.rint(made)) and made.min() >= 0
    weak = np.asarray(FinishScand("pred", noise=0.1, field_t=1.5)({"pred": image})["pred"])
    assert weak.std() == pytest.approx(100, rel=0.03)
    ordered = FinishScand("pred", noise=0.1)({"pred": image, "order": json.dumps({"noise": 0.0})})
    assert float(ordered["pred"].std()) == 0


def pair() -> dict[str, object]:
    classes = labels().as_tensor()
    rng = np.random.RandomState(0)
    scan = np.where(classes == 2, 0.5, np.where(classes == 3, 0.2, 0)) + 0.01 * rng.standard_normal(classes.shape)
    return {"scan": torch.from_numpy(scan.clip(0).astype(np.float32)), "classes": classes, "contrast": "FLAIR", "spacing": (2.0, 2.0, 2.0)}


def test_a_training_pair_is_the_scan_and_what_is_told_of_it() -> None:
    transform = RandRealStyled(("scan", "classes"), prob_lesions=0.0).set_random_state(0)
    made = transform(pair())
    assert torch.equal(made["label"], pair()["scan"])
    prior = made["image"][0].numpy()
    assert prior[5, 5, 5] == pytest.approx(0.5, abs=0.02) and prior[10, 10, 10] == pytest.approx(0.2, abs=0.05)
    assert float(made["image"][3 + CONTRASTS.index("FLAIR")].mean()) == 1


def test_painted_lesions_are_told_and_change_the_scan_there_alone() -> None:
    transform = RandRealStyled(("scan", "classes"), prob_lesions=1.0).set_random_state(3)
    made = transform(pair())
    lesion = made["image"][3 + len(CONTRASTS) + 13 :].sum(0).numpy() > 0
    changed = (made["label"] - pair()["scan"])[0].abs().numpy() > 0.03
    assert lesion.sum() > 5
    far = torch.nn.functional.max_pool3d(torch.from_numpy(lesion[None, None].astype(np.float32)), 9, 1, 4)[0, 0].numpy() == 0
    assert not (changed & far).any()
