"""How right the parser is on the sentences of this folder, by language. Prints the table: python -m tests.text.scoring"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from medgen.text.items import TextError
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec

#: files of sentences; each line an object with text, spec (what it says) or refused (why), perhaps adversarial and ignored
FILES = {"tuned": ("english", "chinese"), "second": ("second",), "third": ("third",), "fresh": ("fresh",)}


def rows(name: str) -> list[dict[str, Any]]:
    """Return the sentences of a file, each with its language."""
    lines = (Path(__file__).parent / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [row | {"language": row.get("language", {"english": "en", "chinese": "zh"}.get(name, ""))} for row in found]


def flat(spec: ScanSpec | None) -> dict[str, Any]:
    """Return all fields of a specification that are set, by their path; a refusal is one field."""
    if spec is None:
        return {"refused": True}
    found: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value and not set(value) <= {"low", "high"}:
            for key, inner in value.items():
                walk(f"{path}.{key}" if path else key, inner)
        elif path == "lesions" and value:
            for n, lesion in enumerate(value):
                walk(f"lesions.{n}", lesion)
        else:
            found[path] = value

    walk("", spec.model_dump(exclude_none=True))
    return found


def bears(path: str) -> bool:
    """Tell whether a field is a side or a size, or stands for a lesion being there at all."""
    return path.split(".")[-1] in ("side", "toward", "mm", "diameter_mm", "factor", "slice_mm", "voxel_mm", "kind", "lesions")


def score(row: dict[str, Any]) -> Counter[str]:
    """Return counts for one sentence: fields, right, exact, refused wrongly, and silent errors in side or size.

    A field is one that is set in what was expected or in what was read: what both leave open does not count.
    A silent error is a side, a size or a lesion that is wrong while the sentence was not refused, or a sentence that
    should have been refused and was not; a warning does not excuse it.
    """
    want = ScanSpec.model_validate(row["spec"]) if "spec" in row else None
    try:
        parsed = parse(row["text"])
        got, notes = parsed.spec, " / ".join((*parsed.ignored, *parsed.warnings)).lower()
    except TextError:
        got, notes = None, ""
    expected, found = flat(want), flat(got)
    paths = set(expected) | set(found)
    right = {p for p in paths if expected.get(p) == found.get(p)}
    told = [word.lower() in notes for word in row.get("ignored", [])]
    kinds = {p for p in paths if p.endswith(".kind") and p in expected and p in found}  # another kind is no wrong side or size
    wrong = got is not None and (want is None or any(bears(p) for p in paths - right - kinds))
    return Counter(
        sentences=1, fields=len(paths) + len(told), right=len(right) + sum(told), exact=len(right) == len(paths) and all(told),
        refused=got is None and want is not None, silent=wrong,
    )  # fmt: skip


def table(name: str) -> dict[str, Counter[str]]:
    """Return the sums over the sentences of a set: by language, adversarial or not, and of all."""
    sums: dict[str, Counter[str]] = {}
    for file in FILES[name]:
        for row in rows(file):
            kind = "adversarial" if row.get("adversarial") else "plain"
            for key in (f"{row['language']} {kind}", "all"):
                sums.setdefault(key, Counter()).update(score(row))
    return dict(sorted(sums.items(), key=lambda item: (item[0] == "all", item[0])))


def main() -> None:
    """Print the table."""
    print("| set | sentences | fields right | exact | refused wrongly | silent errors in side or size |")
    print("|---|---|---|---|---|---|")
    for name in FILES:
        for key, found in table(name).items():
            part = f"{found['right']} of {found['fields']} ({100 * found['right'] / found['fields']:.1f} %)"
            print(f"| {name}, {key} | {found['sentences']} | {part} | {found['exact']} | {found['refused']} | {found['silent']} |")


if __name__ == "__main__":
    main()
