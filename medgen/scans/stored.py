"""The bytes of a file: read once, front to back, hashed as they are stored, and inflated no further than is asked for."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import Protocol, final

from medgen.scans.scan import ScanError

GZIP = b"\x1f\x8b"
RATIO = 1032  #: no deflate stream holds more bytes a stored byte
SUSPECT = 200, 512 << 20  #: compressed by more than this, and larger than this: no scan, but a decompression bomb
CHUNK = 1 << 20
HEADER = 1 << 20  #: bytes of a header of text, at most


class Stream(Protocol):
    """What bytes come from; `read` returns fewer than asked for only at the end."""

    def read(self, count: int, /) -> bytes: ...


@final
class Stored:
    """A file as it lies on the disk.

    Args:
        also: bytes to hash before the file's own, such as those of its detached header.

    Raises `ScanError` where the file cannot be opened or read.
    """

    def __init__(self, path: Path, also: bytes = b"") -> None:
        self.path, self._hash, self._header = path, hashlib.sha256(also), 0
        try:
            self._file = path.open("rb")
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise self._unreadable(error) from None

    def __enter__(self) -> Stored:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, count: int, /) -> bytes:
        try:
            content = self._file.read(count)
        except OSError as error:
            raise self._unreadable(error) from None
        self._hash.update(content)
        return content

    def peek(self, count: int) -> bytes:
        """Return the next bytes without moving on."""
        try:
            return self._file.peek(count)[:count]
        except OSError as error:
            raise self._unreadable(error) from None

    def line(self) -> bytes:
        """Return the next line of a header, with its end; empty at the end of the file."""
        line = self._file.readline(HEADER)
        self._hash.update(line)
        self._header += len(line)
        if self._header >= HEADER:
            raise ScanError(self.path, "its header has no end", "check what it is, or export it again")
        return line

    def digest(self) -> str:
        """Return the SHA-256 of the whole file, whatever has been read of it yet."""
        while self.read(CHUNK):
            pass
        return self._hash.hexdigest()

    def _unreadable(self, error: OSError) -> ScanError:
        return ScanError(self.path, f"cannot be read ({error.strerror})", "check the path and its permissions")


class Inflated:
    """What a zlib stream, or a gzip file of one or more members, holds; zeros may pad its end.

    The checksum of each member is checked where it ends. Raises `EOFError` or `zlib.error` for what is cut short or broken.
    """

    def __init__(self, source: Stream) -> None:
        self._source, self._pending = source, b""
        self._member = zlib.decompressobj(wbits=47)  # zlib or gzip, whichever it is

    def read(self, count: int, /) -> bytes:
        parts: list[bytes] = []
        while count and not (self._member.eof and not self._next()):
            stored = self._pending or self._source.read(1 << 16)
            part = self._member.decompress(stored, count)
            if not (stored or part or self._member.eof):
                raise EOFError
            self._pending = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _next(self) -> bool:
        """Begin the next member, if there is one."""
        self._pending = self._pending.lstrip(b"\0")
        while not self._pending:
            stored = self._source.read(1 << 16)
            if not stored:
                return False
            self._pending = stored.lstrip(b"\0")
        self._member = zlib.decompressobj(wbits=31)
        return True


def read_some(path: Path, stream: Stream, count: int) -> bytes:
    """Return up to `count` bytes, fewer only at the end; a `ScanError` where the compression is broken."""
    try:
        return stream.read(count)
    except (EOFError, OSError, ValueError, zlib.error):
        raise ScanError(path, "its compression is broken or cut short", "copy or export it again") from None


def read_exactly(path: Path, stream: Stream, count: int) -> bytes:
    """Return `count` bytes; a `ScanError` where they are not there."""
    content = read_some(path, stream, count)
    if len(content) < count:
        raise ScanError(path, f"is truncated: {count - len(content)} bytes or more are missing", "copy or export it again")
    return content


def skip(path: Path, stream: Stream, count: int) -> None:
    """Pass over `count` bytes; a `ScanError` where they are not there."""
    while count > 0:
        count -= len(read_exactly(path, stream, min(count, CHUNK)))


def check_size(path: Path, needed: int, stored: int, ratio: float = 1) -> None:
    """Raise `ScanError` where a file of `stored` bytes cannot hold the `needed` ones, or is a decompression bomb.

    Args:
        ratio: how many bytes a stored byte can hold at most.
    """
    if needed > stored * ratio:
        raise ScanError(path, f"is truncated: its header states {needed} bytes, the file holds {stored}", "export it again")
    if needed > SUSPECT[1] and needed > SUSPECT[0] * stored:
        raise ScanError(
            path,
            f"inflates {needed // stored} times, to {needed / 1e9:.1f} GB, as a decompression bomb does",
            "if it is sound, store it without compression",
        )
