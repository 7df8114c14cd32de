from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from medgen.evaluation.sampling import Sampling, block_means, crops, cube, extent, slices

SMALL = Sampling(side=32, slices=4, crop=16)


def head(spacing: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return an ellipsoid with one bright quarter, off the middle of its grid, and its affine."""
    n = round(80 / spacing)
    x, y, z = ((np.arange(n) - n / 2) * spacing for _ in range(3))
    inside = (x[:, None, None] - 6) ** 2 / 20**2 + y[None, :, None] ** 2 / 26**2 + (z[None, None] + 8) ** 2 / 16**2 < 1
    image = 500.0 * inside * (1 + (x[:, None, None] > 6) * (y[None, :, None] > 0))
    return image.astype(np.float32), np.diag([spacing, spacing, spacing, 1.0])


def test_the_cube_is_scaled_and_around_the_body() -> None:
    image, affine = head()
    found = cube(image, affine, False, SMALL)
    assert found.shape == (32, 32, 32) and found.max() == 1.0 and found.min() == 0.0
    middles = [(low + high) / 2 for low, high in extent(found)]
    np.testing.assert_allclose(middles, 16, atol=1)


def test_orientation_units_and_resolution_of_the_file_do_not_matter() -> None:
    image, affine = head()
    expected = cube(image, affine, False, SMALL)
    turned = nib.as_closest_canonical(nib.Nifti1Image(image, affine)).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    np.testing.assert_allclose(cube(np.asarray(turned.dataobj), turned.affine, False, SMALL), expected, atol=1e-6)
    np.testing.assert_allclose(cube(0.01 * image, affine, False, SMALL), expected, atol=1e-6)
    fine, fine_affine = head(1.0)
    assert np.abs(cube(fine, fine_affine, False, SMALL) - expected).mean() < 0.02


def test_hounsfield_units_keep_their_meaning() -> None:
    image, affine = head()
    found = cube(image - 1000, affine, True, SMALL)
    assert found.min() == 0 and set(np.round(np.unique(found), 3)) == {0.0, 0.25, 0.5}


def test_noise_in_air_does_not_move_the_window() -> None:
    image, affine = head()
    rng = np.random.default_rng(0)
    noisy = np.hypot(image + 100 * rng.standard_normal(image.shape), 100 * rng.standard_normal(image.shape))
    a, b = (cube(x, affine, False, SMALL) for x in (image, noisy))
    shifts = [np.corrcoef(np.roll(b, s, 0).ravel(), a.ravel())[0, 1] for s in (-1, 0, 1)]
    assert int(np.argmax(shifts)) == 1


def test_slices_and_crops_are_where_they_are_said_to_be() -> None:
    volume = np.zeros((32, 32, 32), np.float32)
    volume[4:28, 8:24, 10:20] = 1
    found = slices(volume, SMALL)
    assert {plane: rows.shape for plane, rows in found.items()} == dict.fromkeys(("sagittal", "coronal", "axial"), (4, 32, 32))
    assert all(rows.max() == 1 for rows in found.values())
    np.testing.assert_array_equal(found["axial"][0], volume[:, :, 15])
    numbered = np.arange(32**3, dtype=np.float32).reshape(32, 32, 32)
    parts = crops(numbered, SMALL)
    assert parts.shape == (8, 16, 16, 16) and parts[0, 0, 0, 0] == 0 and parts[7, -1, -1, -1] == 32**3 - 1
    assert crops(numbered, Sampling(side=32, crop=32)).shape == (1, 32, 32, 32)


def test_an_empty_image_has_slices_all_the_same() -> None:
    found = cube(np.zeros((10, 12, 14), np.float32), np.eye(4), False, SMALL)
    assert not found.any() and slices(found, SMALL)["axial"].shape == (4, 32, 32)


def test_what_was_told_gives_the_same_sampling() -> None:
    how = Sampling(spacing=1.5, planes=("axial",), slices=8, crop=0)
    assert Sampling.of(json.loads(json.dumps(how.told()))) == how


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"planes": ["oblique"]}, "planes must be of"),
        ({"planes": ["axial", "axial"]}, "each once"),
        ({"spacing": 0}, "spacing must be above 0"),
        ({"crop": 500}, "crop from 0 to side"),
        ({"hu": [100, -100]}, "hu must rise"),
        ({"planes": [], "crop": 0}, "neither planes nor crops"),
        ({"spacig": 2}, "has no spacig"),
        ({"spacing": "wide"}, "wrong type"),
    ],
)
def test_a_wrong_sampling_is_refused(told: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Sampling.of(told)


def test_block_means_leave_out_what_fills_no_block() -> None:
    image = np.arange(5 * 4 * 3, dtype=float).reshape(5, 4, 3)
    means = block_means(image, (2, 4, 1))
    assert means.shape == (2, 1, 3)
    np.testing.assert_allclose(means[1, 0], image[2:4].mean((0, 1)))
