from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medgen.networks.translator import Guess
from medgen.training.voxelwise import fit_guess


def pairs(count: int) -> list[dict[str, Tensor]]:
    """Two directions that the last channels tell apart: to 1 - scan, and to scan / 2; the curve of both is flat."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        scan = torch.rand(1, 1, 3, 3, 3, generator=generator)
        scan = torch.nn.functional.interpolate(scan, size=(16, 16, 16), mode="trilinear")[0]
        turned = torch.full_like(scan, float(number % 2))
        wanted = 1 - scan if number % 2 else scan / 2
        made.append({"image": torch.cat([torch.full_like(scan, 0.5), scan, turned, 1 - turned]), "label": wanted})
    return made


def error(guess: Guess) -> float:
    told = torch.stack([pair["image"] for pair in pairs(6)[4:]])
    wanted = torch.stack([pair["label"] for pair in pairs(6)[4:]])
    with torch.no_grad():
        return float((told[:, :1] + guess(told[:, 1:2], told[:, 2:]) - wanted).abs().mean())


def test_two_directions_are_learned_at_once_and_a_seed_gives_the_same() -> None:
    torch.manual_seed(0)
    first = Guess(2, levels=2, hidden=16)
    before, start = error(first), {name: value.clone() for name, value in first.state_dict().items()}
    fit_guess(first, pairs(4), [2000] * 4, epochs=30, batch=256, noise=0.02)
    assert error(first) < 0.25 * before
    second = Guess(2, levels=2, hidden=16)
    second.load_state_dict(start)
    fit_guess(second, pairs(4), [2000] * 4, epochs=30, batch=256, noise=0.02)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))


def test_scans_of_air_alone_are_refused() -> None:
    air = {"image": torch.zeros(4, 8, 8, 8), "label": torch.zeros(1, 8, 8, 8)}
    with pytest.raises(ValueError, match="no tissue"):
        fit_guess(Guess(2), [air], [10])


def test_a_guess_may_start_from_the_scan_and_learn_that_air_stays_air() -> None:
    made = pairs(4)
    for pair in made:
        pair["image"][1, 8:], pair["label"][:, 8:] = 0, 0
    seen = torch.stack([pair["image"] for pair in made])
    wanted = torch.stack([pair["label"] for pair in made])
    off = {}
    for air in (0.0, 0.5):
        torch.manual_seed(0)
        guess = fit_guess(Guess(2, levels=2, hidden=16), made, [2000] * 4, epochs=30, batch=256, noise=0.02, base=1, air=air)
        with torch.no_grad():
            wrong = (seen[:, 1:2] + guess(seen[:, 1:2], seen[:, 2:]) - wanted).abs()
        off[air] = float(wrong[:, :, 10:].mean()), float(wrong[:, :, :7].mean())
    assert off[0.5][0] < 0.02 and off[0.0][0] > 0.2
    assert max(off[0.0][1], off[0.5][1]) < 0.06
