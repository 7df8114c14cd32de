"""The command that makes sequences to order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medgen.cli.app import Device, app, fail


@app.command()
def sequence(
    bundle: Annotated[str, typer.Argument(help="a bundle that makes scans to order (medgen bundles)")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    vary: Annotated[str, typer.Option(help="age=FIRST:LAST (years), ventricles= (times usual), lesion= (mm), shift= (mm), or walk=SEED")],
    text: Annotated[str, typer.Option(help="what stays as it is, in words")] = "T1",
    frames: Annotated[int, typer.Option(min=2, max=200)] = 9,
    seed: Annotated[int, typer.Option(min=0, help="of all that was left open; the same in all frames")] = 0,
    device: Device = None,
) -> None:
    """Make a head in which one thing changes: ageing, ventricles, a lesion that grows, or a walk from brain to brain.

    Example: medgen sequence BUNDLE --vary age=50:85 --text "T1 of a woman" -o out/

    Writes one 4D NIfTI, a GIF and a sidecar that tells what each frame shows. All of it is synthetic and says so.
    """
    from medgen.batch.ordered import check
    from medgen.batch.sequence import Vary
    from medgen.batch.sequence import sequence as make
    from medgen.bundles import BundleError, open_bundle
    from medgen.text.parse import TextError, parse
    from medgen.text.spec import reason

    try:
        varied = Vary.read(vary, seed)
        parsed = parse(text)
        opened = open_bundle(bundle, device)
        check(opened)
        for words, meaning in parsed.understood:
            print(f"understood:     {words} = {meaning}")
        if parsed.ignored:
            print(f"ignored:        {', '.join(parsed.ignored)}")
        files = make(opened, parsed.spec, varied, output, count=frames, seed=seed,
                     progress=lambda number, caption: print(f"[{number}/{frames}] {caption}", flush=True))  # fmt: skip
    except (BundleError, TextError, ValueError) as error:
        raise fail(reason(error) if isinstance(error, ValueError) else str(error)) from None
    for path in files.values():
        print(f"-> {path}")
