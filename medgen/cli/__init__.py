"""The commands; no logic. Heavy imports happen inside them, so that --help is quick."""

from medgen.cli import (  # noqa: F401  each adds its commands
    bundles,
    distributions,
    evaluate,
    explore,
    pacs,
    scans,
    sequence,
    simulate,
    slicer,
    status,
    text,
    train,
    watch,
)
from medgen.cli.app import app

__all__ = ["app"]
