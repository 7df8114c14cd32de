"""Losses and training steps that MONAI lacks; the loops are MONAI's engines."""
