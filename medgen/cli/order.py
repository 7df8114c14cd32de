"""What `medgen run --text` and `--spec` print while they make the scans of a sentence or a specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medgen.cli.app import fail
from medgen.cli.text import print_reading, print_spec, reading_row, suggestions


def make(bundle: Any, wanted: str | Path, count: int, options: Any, json_lines: bool, suggest: bool = False) -> int:
    """Make the scans of a sentence, or of a file with a specification, tell how it was understood and what became of each.

    Return how many failed. For machines the first line tells how it was understood, and each further one of a scan, as those of a run
    do. Suggestions for words that were not understood are shown only: the scans are those of the text as it is.
    """
    from medgen.batch import ordered
    from medgen.batch.progress import prepare_output
    from medgen.text.parse import TextError
    from medgen.text.parse import parse as understand

    ordered.check(bundle)
    offers = suggestions(wanted) if suggest and isinstance(wanted, str) else None
    try:
        parsed = understand(wanted) if isinstance(wanted, str) else None
        order = wanted if isinstance(wanted, str) else ordered.read_spec(wanted)
    except TextError as error:
        raise fail("; ".join([str(error), *(offers.lines() if offers else [])])) from None
    bundle.network  # noqa: B018  a missing or altered checkpoint stops here
    prepare_output(options.output)
    told = None if isinstance(order, str) else order.model_dump(exclude_none=True)
    if json_lines:
        print(json.dumps(reading_row(parsed, offers) if parsed else {"spec": told}), flush=True)
    elif parsed:
        print_reading(parsed, offers)
    else:
        print_spec(told or {})
    failed = 0
    for number, made in enumerate(ordered.ordered(bundle, order, count, options), 1):
        failed += made.error is not None
        if json_lines:
            about: dict[str, Any] = {"seconds": round(made.seconds, 2), "error": made.error, "warnings": []}
            print(json.dumps({"case": made.name, "files": [str(path) for path in made.files], **about}), flush=True)
        else:
            what = f"failed: {made.error}" if made.error else f"{made.seconds:.1f} s -> {made.files[0]}" if made.files else "is there already"
            print(f"[{number}/{count}] {made.name}: {what}", flush=True)
    return failed
