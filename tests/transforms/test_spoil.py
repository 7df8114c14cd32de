from __future__ import annotations

import numpy as np
import pytest
import torch

from medgen.transforms.spoil import FAULTS, RandSpoilSlicesd, spoil, void
from tests.transforms.test_repair import scan


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("axis", [0, 2])
def test_a_fault_changes_its_slice_alone(fault: str, axis: int) -> None:
    image = scan()
    spoiled = spoil(image, axis, [17], fault, np.random.RandomState(0))
    changed = np.abs(np.moveaxis(spoiled - image, axis, 0)).reshape(image.shape[axis], -1).mean(1)
    assert changed[17] > 0.005 * image.max() and not np.delete(changed, 17).any()


def test_an_unknown_fault_names_the_known() -> None:
    with pytest.raises(ValueError, match="dropout.*not 'rust'"):
        spoil(scan(), 0, [3], "rust", np.random.RandomState(0))


def test_a_void_is_black_with_a_bright_rim_and_its_mask_holds_all_of_it() -> None:
    image = scan()
    spoiled, mask = void(image, (20, 24, 18), 12, (1.0, 1.0, 1.0), np.random.RandomState(0))
    assert np.array_equal(spoiled[~mask], image[~mask])
    assert (spoiled[mask] == image.min()).mean() > 0.2 and spoiled[mask].max() > 0.9 * image.max()


def test_the_transform_tells_its_mask() -> None:
    image = torch.from_numpy(scan())[None]
    out = RandSpoilSlicesd("image", axis=2).set_random_state(1)({"image": image})
    touched = (out["image"] != image)[0].any(0).any(0)
    slices = out["mask"][0].bool()
    assert torch.equal(slices.any(0).any(0), touched) and 1 <= int(touched.sum()) <= 3
    clean = RandSpoilSlicesd("image", prob=0.0)({"image": image})
    assert torch.equal(clean["image"], image) and not clean["mask"].any()
