"""Whether a file that is shipped, of weights or the like, is the one that its hash was stated of."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content. Raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fault(path: Path, stated: str) -> str:
    """Return what a file whose SHA-256 was stated is, such as "missing", to stand in an error; "" where it is right."""
    if not path.is_file():
        return "missing"
    try:
        actual = sha256_of(path)
    except OSError as error:
        return f"not readable ({error.strerror})"
    return "" if actual == stated else f"altered (SHA-256 {actual[:12]}..., and {stated[:12] or 'none'}... was stated)"
