from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medgen.synthesis import recognise
from medgen.synthesis.recognise import TellContrastsd
from medgen.transforms.style import LEVEL
from medgen.transforms.translate import CONTRASTS, TOP

CURVES = {f"{a} to {b}": [k / 8 * TOP for k in range(9)] for a in CONTRASTS for b in CONTRASTS if a != b}
#: Brightness of fluid, cortex, white matter.
LOOKS = {"T1": (20.0, 70.0, 100.0), "T2": (300.0, 130.0, 100.0), "FLAIR": (30.0, 115.0, 100.0)}


class Known:
    """A segmenter that knows the phantom: the classes are told by where a voxel is, not by the image."""

    def __init__(self, *_: object) -> None: ...

    def classes(self, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
        return phantom(image.shape)


def phantom(shape: tuple[int, ...]) -> np.ndarray:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    return np.select([radius < 0.2, radius < 0.6, radius < 0.85, radius < 0.95], [3, 2, 1, 9], 0).astype(np.uint8)


def scan(contrast: str, gain: float = 3.0) -> MetaTensor:
    classes = phantom((24, 26, 28))
    fluid, grey, white = LOOKS[contrast]
    image = np.select([classes == 2, classes == 1, classes > 0], [white, grey, fluid], 0.0) * gain
    return MetaTensor(torch.from_numpy(image.astype(np.float32))[None], affine=torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0])))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "Segmenter", Known)


@pytest.mark.parametrize("source", CONTRASTS)
def test_contrast_and_brightness_are_found(source: str) -> None:
    target = next(name for name in CONTRASTS if name != source)
    out = TellContrastsd("image", CURVES, contrast=target)({"image": scan(source)})
    told = out["image"]
    assert float(told[1][phantom((24, 26, 28)) == 2].median()) == pytest.approx(LEVEL)
    assert told[3:].mean((1, 2, 3)).tolist() == [float(n == source) for n in CONTRASTS] + [float(n == target) for n in CONTRASTS]
    assert float(told[2].mean()) == pytest.approx(0.5)  # 1 mm
    assert out["report"] == {"translated": {"from": source, "to": target, "white_matter": 300.0}}


def test_a_scan_that_has_the_contrast_already_is_refused_unless_its_own_is_named() -> None:
    with pytest.raises(ValueError, match="the scan is T2 already; choose another contrast, T1 or FLAIR"):
        TellContrastsd("image", CURVES, contrast="T2")({"image": scan("T2")})
    named = TellContrastsd("image", CURVES, contrast="T2", source="FLAIR")({"image": scan("T2")})
    assert named["report"]["translated"]["from"] == "FLAIR"


def test_what_has_no_white_matter_is_refused() -> None:
    with pytest.raises(ValueError, match="no white matter was found"):
        TellContrastsd("image", CURVES, contrast="T2")({"image": MetaTensor(torch.zeros(1, 4, 4, 4), affine=torch.eye(4))})
