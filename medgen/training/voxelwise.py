"""Training of what sees one voxel at a time, on voxels of whole scans: thousands of samples a step, none like its neighbour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from medgen.networks.translator import SCALE, Guess


def fit_guess(
    guess: Guess, pairs: Sequence[Mapping[str, Tensor]], voxels: Sequence[int], epochs: int = 6, batch: int = 2048,
    learning_rate: float = 5e-3, noise: float = 0.1, seed: int = 0, base: int = 0, air: float = 0.0,
) -> Guess:  # fmt: skip
    """Train a translator's first guess by least squares, and return it.

    Args:
        pairs: of "image", what a translator is told (conditions, X, Y, Z), and "label", the scan that is wanted (1, X, Y, Z).
        voxels: how many are drawn of each pair, where either has tissue; a pair with none is left out.
        air: how many more are drawn where neither has, as a share of those.
        noise: standard deviation of what is added to the wavelets: a guess that minds no more than that fits other scanners.
        base: channel of "image" that the guess is added to: 0, the scan through its curve, or 1, the scan itself.

    Raises ValueError where there is no voxel to learn from.
    """
    generator = torch.Generator().manual_seed(seed)
    tables: list[Tensor] = []
    wanted: list[Tensor] = []
    for pair, count in zip(pairs, voxels):
        told, label = (torch.as_tensor(pair[key]).float() for key in ("image", "label"))
        shown = ((told[1] > 0.02) | (label[0] > 0.02)).flatten()
        tissue, empty = torch.nonzero(shown).flatten(), torch.nonzero(~shown).flatten()
        if len(tissue):
            chosen = tissue[torch.randint(len(tissue), (count,), generator=generator)]
            if air and len(empty):
                chosen = torch.cat([chosen, empty[torch.randint(len(empty), (int(air * count),), generator=generator)]])
            with torch.no_grad():
                seen = guess.features(told[None, 1:2], told[None, 2:])[0].flatten(1)
            tables.append(seen[:, chosen].T.contiguous())
            wanted.append((label - told[base : base + 1]).flatten()[chosen] * SCALE)
    if not tables:
        raise ValueError("there is no tissue in the scans to learn a guess from")
    table, target = torch.cat(tables), torch.cat(wanted)
    told_apart = torch.ones(table.shape[1])
    told_apart[guess.levels + 3 :] = 0  # of the style, nothing is blurred
    optimizer = torch.optim.AdamW(guess.parameters(), learning_rate, weight_decay=1e-4)
    steps = max(len(table) // batch, 1) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(table), generator=generator)[: max(len(table) // batch, 1) * batch].split(batch):
            seen = table[chosen]
            seen = seen + noise * told_apart * torch.randn(seen.shape, generator=generator)
            made = guess.layers(seen[:, :, None, None, None])[:, 0, 0, 0, 0]
            loss = nn.functional.mse_loss(made, target[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return guess
