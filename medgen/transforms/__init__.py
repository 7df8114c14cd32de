"""Transforms that MONAI lacks: invertible normalisers, damage with known truth, a 3D augmentation recipe."""
