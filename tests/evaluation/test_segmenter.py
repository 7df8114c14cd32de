from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medgen.evaluation.segmenter import Segmenter, names
from medgen.scans.scan import ScanError


def head(shape: tuple[int, int, int] = (48, 56, 48)) -> np.ndarray:
    """Return a bright ball in a darker one, and noise."""
    rng = np.random.RandomState(0)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    return ((radius < 0.6) * 300 + (radius < 0.9) * 300 + rng.uniform(0, 20, shape)).astype(np.float32)


@pytest.mark.parametrize("axes", ["LPS", "PSR", "AIL"])
def test_how_an_image_is_stored_changes_nothing(axes: str) -> None:
    image = nib.Nifti1Image(head(), np.diag([2.0, 2.0, 2.0, 1.0]))
    there = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes)))
    network = Segmenter("brain-t1")
    found = network.classes(np.asarray(there.dataobj), there.affine)
    assert found.dtype == np.uint8 and found.shape == there.shape
    back = nib.as_closest_canonical(nib.Nifti1Image(found, there.affine))
    assert np.array_equal(np.asarray(back.dataobj), network.classes(head(), image.affine))


def test_a_finer_grid_gets_the_classes_of_the_same_places() -> None:
    image = head()
    fine = np.kron(image, np.ones((2, 2, 2), np.float32))
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -0.5
    found = Segmenter("brain-t1").classes(fine, affine)
    assert found.shape == fine.shape
    assert (found[::2, ::2, ::2] == Segmenter("brain-t1").classes(image, np.diag([2.0, 2.0, 2.0, 1.0]))).mean() > 0.999


@pytest.mark.parametrize("name", names())
def test_a_real_brain_is_mostly_cortex_and_white_matter(name: str) -> None:
    image = nib.load(Path(__file__).parents[2] / "sample_data/brain/mni152_t1.nii.gz")
    found = Segmenter(name).classes(np.asarray(image.dataobj, np.float32), image.affine)
    millilitres = np.bincount(found.ravel(), minlength=17) * np.prod(image.header.get_zooms()[:3]) / 1000
    assert 1000 < millilitres[1:9].sum() < 2100 and 10 < millilitres[3] < 60
    assert millilitres[1] > 400 and millilitres[2] > 400 and millilitres[13:].sum() < 5


def test_fluid_that_outshines_the_head_changes_nothing_elsewhere() -> None:
    image = nib.load(Path(__file__).parents[2] / "sample_data/brain/mni152_t1.nii.gz")
    scan = np.asarray(image.dataobj, np.float32)
    middle = tuple(n // 2 for n in scan.shape)
    part = tuple(slice(m - n // 12, m + n // 12) for m, n in zip(middle, scan.shape))
    shining = scan.copy()
    shining[part] = 5 * scan.max()  # 0.46 % of the grid, and more than half a per cent of the head
    away = np.ones(scan.shape, bool)
    away[tuple(slice(s.start - 20, s.stop + 20) for s in part)] = False
    plain, beside = (Segmenter("brain-any").classes(one, image.affine) for one in (scan, shining))
    assert (plain == beside)[away & (plain > 0)].mean() > 0.8


def test_air_is_air_and_another_name_or_altered_weights_are_refused(tmp_path: Path) -> None:
    assert not Segmenter("brain-t1").classes(np.zeros((16, 16, 16)), np.diag([2.0, 2.0, 2.0, 1.0])).any()
    with pytest.raises(ScanError, match="choose one of brain-any, brain-t1"):
        Segmenter("heart")
    (tmp_path / "x.json").write_text('{"weights": "x.pt", "sha256": "0"}')
    (tmp_path / "x.pt").write_bytes(b"")
    with pytest.raises(ScanError, match="install medgen again"):
        _ = Segmenter("x", folder=tmp_path).network
