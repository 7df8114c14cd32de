"""Commands for 3D Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from medgen.cli.app import app, fail

slicer = typer.Typer(help="Modules for 3D Slicer.", no_args_is_help=True)
app.add_typer(slicer, name="slicer")


@slicer.command()
def install(
    folder: Annotated[Path, typer.Argument(help="folder for the modules")] = Path("~/medgen_slicer"),
) -> None:
    """Write the modules for 3D Slicer to a folder, and say how Slicer finds them. Example: medgen slicer install

    Again after new bundles were added, or medgen was moved.
    """
    from medgen.bundles import BundleError
    from medgen.slicer.install import install as write

    place = folder.expanduser().resolve()
    try:
        launchers = write(place, _commands())
    except BundleError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{place}: cannot be written to ({error.strerror}); choose another folder") from None
    print(f"written to {place}: MedGen, {', '.join(launcher.stem for launcher in launchers)}")
    print("In Slicer, once:")
    print("  1. Edit > Application Settings > Modules")
    print("  2. drag that folder onto Additional module paths, and press OK")
    print("  3. Restart, and choose MedGen among the modules")


@slicer.command(hidden=True, context_settings={"allow_extra_args": True, "allow_interspersed_args": False})
def module(context: typer.Context, task: str) -> None:
    """Run a module as Slicer calls it: what the launchers are for."""
    from medgen.slicer.module import run

    raise typer.Exit(run(task, context.args, _commands()))


def _commands() -> dict[str, Any]:
    """Return medgen's commands by name, whose options the modules repeat."""
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
