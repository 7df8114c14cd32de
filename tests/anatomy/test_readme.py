"""The table of medgen/anatomy/README.md is that of classes.py. `python -m tests.anatomy.test_readme` prints it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medgen.anatomy import classes

README = Path(classes.__file__).with_name("README.md")


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as '1, 3-5'."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found) or "-"


def table() -> list[str]:
    rows = ["| class | what | FreeSurfer, SynthSeg | DLMUSE | in every scheme |", "|---|---|---|---|---|"]
    for number, name in enumerate(classes.NAMES):
        lesions = [n for n, own in classes.LESIONS.items() if own == number]
        numbers = [0] if not number else classes.FREESURFER.get(number, ()), [0] if not number else classes.MUSE.get(number, ())
        rows.append(f"| {number} | {name} | {ranges(numbers[0])} | {ranges(numbers[1])} | {ranges(lesions)} |")
    return rows


def test_the_table_is_that_of_the_code() -> None:
    text = README.read_text(encoding="utf-8").splitlines()
    start = text.index(table()[0])
    assert text[start : start + len(table())] == table()


if __name__ == "__main__":
    print("\n".join(table()))
