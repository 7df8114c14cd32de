"""The results of a benchmark beside a bundle's README, and the table there that is made from them:

    python -m tests.benchmarks.enhance --data DIR -o bundles/mr_enhance_gan/docs/numbers.json
    python -m tests.benchmarks.numbers bundles/mr_enhance_gan

The second puts the table between the marks `<!-- numbers -->` and `<!-- end of numbers -->` of docs/README.md. A benchmark that
may write such a file has `table(rows)`, which gives the Markdown. tests/test_numbers.py holds README, file and weights in step.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from medgen.batch.sidecar import versions
from medgen.bundles import Bundle

BEGIN, END = "<!-- numbers -->\n", "<!-- end of numbers -->\n"


def write(path: Path, benchmark: str, bundle: Bundle, rows: list[dict[str, Any]]) -> None:
    """Write what a benchmark (the name of its module) measured of a bundle; floats to six digits."""
    about = {"benchmark": benchmark, "bundle": bundle.root.name, "weights_sha256": bundle.metadata["weights_sha256"], "versions": versions()}
    path.write_text(json.dumps({**about, "rows": _rounded(rows)}, indent=1) + "\n")


def table(numbers: dict[str, Any]) -> str:
    """Return the table of the content of numbers.json as Markdown."""
    return str(import_module(f"tests.benchmarks.{numbers['benchmark']}").table(numbers["rows"])) + "\n"


def put(readme: str, numbers: dict[str, Any]) -> str:
    """Return a README with the table between its marks. Raises ValueError where it does not have them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no line {BEGIN.strip()} with {END.strip()} after it")
    return before + BEGIN + "\n" + table(numbers) + "\n" + END + after


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    docs = Path(sys.argv[1]) / "docs"
    text = put((docs / "README.md").read_text(), json.loads((docs / "numbers.json").read_text()))
    (docs / "README.md").write_text(text)
