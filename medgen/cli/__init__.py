"""The commands; no logic. Heavy imports happen inside them, so that --help is quick."""

from medgen.cli import bundles, distributions, evaluate, pacs, scans, slicer, status, text, train  # noqa: F401  each adds its commands
from medgen.cli.app import app

__all__ = ["app"]
