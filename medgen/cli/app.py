"""The program, and what its commands share."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Optional

import typer

from medgen import __version__

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: threads that spin stall beside another busy process

app = typer.Typer(
    help="Generative medical imaging on MONAI: enhance, denoise and repair 3D CT and MR, and measure what was done.\n\n"
    "Example: medgen run BUNDLE scans/ -o restored/ (medgen bundles lists them)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Device = Annotated[Optional[str], typer.Option(help="cpu, cuda or cuda:N; CUDA where there is one by default.")]
Permissive = Annotated[
    bool, typer.Option("--permissive", help="take doubtful scans where there is a way out, with a warning")
]
LogJson = Annotated[
    Optional[str], typer.Option("--log-json", help="file for one JSON line an event, - for standard error")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"medgen {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="tell the version, and stop")] = False,
) -> None:
    """Take what comes before a command."""


def fail(message: str) -> typer.Exit:
    """Print a message to standard error and return the exit of wrong use."""
    print(f"medgen: {message}", file=sys.stderr)
    return typer.Exit(2)


def console():  # type: ignore[no-untyped-def]
    """Return the console to print on: wide where nobody looks."""
    from rich.console import Console

    return Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)
