"""Run a function over tiles and stitch what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from medgen.inference.windows import Plan, Tile


class Stitcher:
    """Compute a volume (B, C, X, Y, Z) tile by tile on `device`; the result lies where the volume lies.

    From the CPU to a GPU, and back, copies go through pinned memory and run while the GPU computes: a tile is awaited
    only when the next has been launched. Tiles of one value (air) are computed once for each shape.
    """

    def __init__(self, image: Tensor, device: torch.device) -> None:
        self.image, self.device = image, device
        self.crosses = image.device != device and device.type == "cuda"
        self._air: dict[Any, list[Tensor]] = {}
        self._waiting: tuple[Tile, list[Tensor], Any] | None = None
        self._out: list[Tensor] = []
        self._spec: Any = None

    def run(self, function: Callable[[Tensor], Any], tiles: Plan) -> Any:
        """Return what `function` gives for the whole volume: a tensor, or a tuple or dict of tensors, in float32."""
        if len(tiles.tiles) == 1 and not self.crosses and self.image.device == self.device:
            return function(self.image)
        for tile in tiles.tiles:
            window = self.image[(..., *tile.window)]
            key = (tuple(window.shape), str(tile.inner), float(window.flatten()[0])) if _is_flat(window) else None
            results = self._air.get(key) if key else None
            if results is None:
                results = self._compute(function, window, tile)
                if key:
                    self._air[key] = results
            self._keep(tile, results)
        self._await()
        return tree_unflatten(self._out, self._spec)

    def _compute(self, function: Callable[[Tensor], Any], window: Tensor, tile: Tile) -> list[Tensor]:
        if self.crosses:
            window = window.contiguous().pin_memory()
        output = function(window.to(self.device, non_blocking=True))
        leaves, self._spec = tree_flatten(output)
        return [leaf[(..., *tile.inner)] for leaf in leaves]

    def _keep(self, tile: Tile, results: list[Tensor]) -> None:
        if not self._out:
            shape = self.image.shape[2:]
            self._out = [torch.empty(*r.shape[:2], *shape, dtype=r.dtype, device=self.image.device) for r in results]
        done = None
        if self.crosses:
            pinned = [torch.empty(r.shape, dtype=r.dtype, pin_memory=True) for r in results]
            for buffer, result in zip(pinned, results):
                buffer.copy_(result, non_blocking=True)
            done, results = torch.cuda.Event(), pinned
            done.record(torch.cuda.current_stream(self.device))
        self._await()
        self._waiting = (tile, results, done)

    def _await(self) -> None:
        if self._waiting is None:
            return
        tile, results, done = self._waiting
        if done is not None:
            done.synchronize()
        for out, result in zip(self._out, results):
            out[(..., *tile.core)] = result
        self._waiting = None


def _is_flat(window: Tensor) -> bool:
    """Say whether a window holds one value only; the first plane tells almost always."""
    first = window.flatten()[0]
    return bool((window[:, :, :1] == first).all()) and bool((window == first).all())
