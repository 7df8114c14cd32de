"""Whether a file is the one that its hash was stated of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from medgen.weights import CHUNK, fault, sha256_of


def test_a_file_is_right_altered_or_missing(tmp_path: Path) -> None:
    path, content = tmp_path / "model.pt", bytes(range(256)) * (CHUNK // 128)  # of several chunks
    path.write_bytes(content)
    stated = hashlib.sha256(content).hexdigest()
    assert sha256_of(path) == stated and fault(path, stated) == ""
    assert fault(path, "ab" * 32) == f"altered (SHA-256 {stated[:12]}..., and abababababab... was stated)"
    assert "none... was stated" in fault(path, "")
    path.write_bytes(content[:-1])
    assert fault(path, stated).startswith("altered")
    path.unlink()
    assert fault(path, stated) == "missing" and fault(tmp_path, stated) == "missing"  # a folder is no file
    with pytest.raises(OSError, match=r"model\.pt"):
        sha256_of(path)
