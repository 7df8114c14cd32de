from __future__ import annotations

import pytest
import torch

from medgen.networks.blocks import space_to_depth
from medgen.networks.spade import Spade, SpadeGenerator, depth_to_space


def small() -> SpadeGenerator:
    torch.manual_seed(0)
    return SpadeGenerator(5, (8, 8), (1, 1), 4).eval()


def test_cells_go_back_where_they_came_from() -> None:
    x = torch.arange(8 * 6 * 4.0).view(1, 1, 8, 6, 4)
    assert torch.equal(depth_to_space(space_to_depth(x)), x)


def test_untrained_it_paints_the_prior() -> None:
    x = torch.rand(2, 5, 8, 12, 16)
    assert torch.equal(small()(x), x[:, :1])


def test_the_norm_is_of_each_voxel_alone() -> None:
    """So that no tile depends on what lies elsewhere in its window."""
    spade = Spade(6, 3)
    x, told = torch.rand(1, 6, 4, 4, 4), torch.rand(1, 3, 4, 4, 4)
    part = spade(x[..., :2], told[..., :2])
    torch.testing.assert_close(spade(x, told)[..., :2], part)
    torch.testing.assert_close(spade(1000 * x, told), spade(x, told), atol=1e-4, rtol=1e-4)


def test_what_is_told_changes_what_is_painted() -> None:
    network = small()
    torch.nn.init.normal_(network.head.weight)
    x = torch.rand(1, 5, 8, 8, 8)
    other = x.clone()
    other[:, 3] = 1 - other[:, 3]
    assert (network(x) - network(other)).abs().max() > 1e-3


def test_sides_that_do_not_fit_and_levels_of_unlike_number_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        small()(torch.rand(1, 5, 8, 8, 6))
    with pytest.raises(ValueError, match="one entry for each level"):
        SpadeGenerator(5, (8, 8), (1,))
