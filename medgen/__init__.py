"""Generative medical imaging on MONAI: enhance, denoise, repair and synthesise 3D CT and MR, and measure what was done.

The floors, ground up; a room imports only from floors below it (all may use `scans.scan`):

0. `memory` (how much is free), `weights` (their hashes): the standard library alone
1. `scans` (file formats), `transforms`, `networks`, `inference`, `evaluation`, `text`, `anatomy`
2. `training`, `bundles`, `synthesis`
3. `batch`
4. `slicer` (the modules of 3D Slicer)
5. `cli`
"""

__version__ = "0.1.0"
