from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medgen.evaluation.likeness import FLOORS, GROUPS, KEPT, NAMES, features, fit, score

ROOT = Path(__file__).resolve().parents[2]


def head(seed: int) -> np.ndarray:
    """A ball of smooth tissue in air, darker at its surface."""
    rng = np.random.RandomState(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, 48),) * 3, indexing="ij"))
    size = 0.6 + 0.1 * rng.uniform()
    radius = (grid**2).sum(0)
    tissue = 600 + 900 * gaussian_filter(rng.standard_normal(radius.shape), 2) + 500 * (size - radius)
    return np.where(radius < size, np.clip(tissue, 100, 1200), 0) + 5 * np.abs(rng.standard_normal(radius.shape))


KNOWN = fit([features(head(seed), (1, 1, 1)) for seed in range(8)], None)


def test_scans_like_those_of_the_training_pass() -> None:
    assert all(score(features(head(seed), (1, 1, 1)), KNOWN)[0] < KNOWN["limit"] for seed in range(20, 40))


@pytest.mark.parametrize(
    ("damage", "groups"),
    [
        (lambda x: x - 1024.0, {"background"}),
        (lambda x: x.max() - x, {"background", "intensities", "contrast", "surface"}),
        (lambda x: np.where(x > 90, 1300 - x, x), {"surface", "contrast", "intensities", "texture"}),
        (lambda x: x + 150 * np.random.RandomState(0).standard_normal(x.shape), {"texture", "background", "contrast"}),
        (lambda x: 1000 * (x / 1000) ** 3, {"background", "intensities", "contrast"}),
    ],
)
def test_other_modalities_contrasts_and_noise_are_found_and_named(damage: Any, groups: set[str]) -> None:
    unlike, odd = score(features(damage(head(30)), (1, 1, 1)), KNOWN)
    group, name = odd.rstrip(")").split(" (")
    assert unlike > KNOWN["limit"] and group in groups and name in GROUPS[group]


def test_units_without_meaning_do_not_matter_and_voxels_do() -> None:
    np.testing.assert_allclose(features(head(1) * 37, (1, 1, 1)), features(head(1), (1, 1, 1)), atol=1e-4)
    unlike, odd = score(features(head(30), (1, 1, 40)), KNOWN)
    assert unlike > KNOWN["limit"] and odd == "voxels (anisotropy)"


def test_what_a_scan_may_be_is_usual_once_it_was_told() -> None:
    noise = np.random.RandomState(0).standard_normal
    noisy = [np.abs(head(seed) + 100 * noise((48,) * 3)) for seed in range(9)]
    rows = [np.stack([features(head(seed), (1, 1, 1)), features(noisy[seed], (1, 1, 1))]) for seed in range(8)]
    found = features(noisy[8], (1, 1, 1))
    assert score(found, fit(rows, None))[0] < 1 < score(found, KNOWN)[0]


def test_three_scans_are_enough_and_many_are_thinned() -> None:
    known = fit([features(head(seed), (1, 1, 1)) for seed in range(3)], None)
    assert score(features(head(9), (1, 1, 1)), known)[0] < 1 < score(features(-head(9), (1, 1, 1)), known)[0]
    many = np.random.RandomState(0).standard_normal((3, 200, len(NAMES))) * FLOORS * 9
    assert len(fit(list(many), None)["rows"]) == KEPT


def test_what_is_kept_is_json_and_empty_or_constant_images_have_features() -> None:
    assert json.loads(json.dumps(KNOWN)) == KNOWN and len(FLOORS) == len(NAMES)
    for image in (np.zeros((5, 5, 5)), np.full((1, 4, 1), 7.0), np.full((3, 3, 3), -1000.0), np.full((4, 4, 4), np.nan)):
        found = features(image, (1, 1, 1))
        assert np.isfinite(found).all() and len(found) == len(NAMES) and np.isfinite(score(found, KNOWN)[0])


@cache
def sample(path: str) -> tuple[np.ndarray, tuple[float, ...]]:
    from medgen.scans import find, read

    scan = read(find([ROOT / "sample_data" / path])[0][0], permissive=True)
    return np.asarray(scan.image[0]), tuple(scan.spacing)


def shipped() -> dict[str, tuple[str, dict[str, Any]]]:
    """Modality and fit of the bundles that have one."""
    found = {}
    for path in sorted(ROOT.glob("bundles/*/configs/metadata.json")):
        metadata = json.loads(path.read_text())
        if "likeness" in metadata:
            modality = metadata["network_data_format"]["inputs"]["image"]["modality"]
            found[path.parents[1].name] = modality, metadata["likeness"]
    return found


@pytest.mark.parametrize("bundle", list(shipped()))
def test_shipped_bundles_know_a_sample_of_theirs_and_no_other(bundle: str) -> None:
    modality, known = shipped()[bundle]
    ct, mr = sample("ct_lung_dicom"), sample("mr_brain_dicom")
    (image, mm), (other, other_mm) = (ct, mr) if modality == "CT" else (mr, ct)
    noise = np.random.RandomState(0).uniform(0, 1000, (64,) * 3)

    def unlike(image: np.ndarray, mm: tuple[float, ...]) -> float:
        return score(features(image, mm, known["scale"]), known)[0]

    assert unlike(image, mm) <= known["limit"]
    assert unlike(image.max() - image, mm) > known["limit"]
    assert unlike(noise, (1, 1, 1)) > known["limit"]
    assert unlike(other, other_mm) > known["limit"] and unlike(other + 1024 * (modality == "MR"), other_mm) > known["limit"]
