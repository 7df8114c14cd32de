"""Scans and results in an object store (fsspec: s3://, gs://, abfs:// ...): listed by one, fetched and put by who works on them.

Keys, tokens and endpoints come from the environment, as the store's own library reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from medgen.batch.ledger import RunStopped
from medgen.batch.places import names_in
from medgen.bundles import BundleError
from medgen.scans import Case, Found, ScanError, find
from medgen.scans.bids import scans_in
from medgen.scans.contents import content
from medgen.scans.find import case_name, kind_by_name, unique

#: What stores tell of an object that changes with its content, under the names that they have for it.
MARKS = ("size", "ETag", "etag", "md5Hash", "content_md5", "mtime", "created")


@dataclass(frozen=True)
class StoredCase(Case):
    """A case of objects.

    Attributes:
        files: the URLs as absolute paths, /s3/bucket/key, to name and to compare them by.
        urls: of its objects.
        state: what changes when they do.
    """

    urls: tuple[str, ...] = ()
    state: str = ""


def is_url(text: str) -> bool:
    """Say whether a text is the URL of a store, and no path."""
    return re.match(r"[A-Za-z][\w+.-]*(::[\w+.-]+)?://", text) is not None


def as_path(place: str) -> Path:
    """Return a path; of a URL, an absolute one to name and to compare it by: /s3/BUCKET/KEY."""
    return Path("/" + place.replace("://", "/", 1)) if is_url(place) else Path(place)


def find_stored(urls: Iterable[str]) -> Found:
    """Return the scans under URLs, as `find` does of folders, by the names of the objects: none is opened.

    An object with the suffix of a scan is a case; all .dcm of one folder are one case, which must be one volume.
    """
    cases: list[Case] = []
    errors: list[ScanError] = []
    for url in urls:
        groups: dict[str, list[str]] = {}
        try:
            marks = Objects(url).marks
        except BundleError:
            raise
        except Exception as error:  # noqa: BLE001  each store has its own
            errors.append(ScanError(url, f"cannot be listed ({_line(error)})", "check the URL, and the keys in the environment"))
            continue
        for name in sorted(marks):
            kind = kind_by_name(name or url)  # of a URL that is one object, the name is ""
            if kind and not any(part.startswith(".") for part in name.split("/")):
                groups.setdefault(name.rpartition("/")[0] + "/" if kind == "dicom" else name, []).append(name)
        for group, names in groups.items():
            members = tuple(_join(url, name) for name in names)
            place = as_path(_join(url, group))
            digest = hashlib.sha256("\n".join(marks[name] for name in names).encode()).hexdigest()
            cases.append(StoredCase(case_name(place.name), tuple(map(as_path, members)), kind_by_name(names[0] or url) or "", urls=members, state=digest))
        if not groups:
            errors.append(ScanError(url, "holds no scans", "give a URL with NIfTI, NRRD or MHA, or folders of .dcm, under it"))
    return Found(unique(cases), errors, [])


def find_all(places: Sequence[str]) -> Found:
    """Return the scans under paths and URLs."""
    found, errors, skipped = scans_in([Path(place) for place in places if not is_url(place)])
    stored, more, _ = find_stored(place for place in places if is_url(place))
    return Found(unique([*found, *stored]) if stored else found, [*errors, *more], skipped)


def fetch(case: StoredCase, folder: Path) -> Case:
    """Fetch a case into an empty folder, and return it as one of files.

    Raises `ScanError`, with URLs instead of paths, where it is gone, forbidden, or not one volume; `RunStopped` where the
    store does not answer, which is no scan's fault.
    """
    above = case.urls[0].rpartition("/")[0]
    try:
        for url in case.urls:
            opened, path = _opened(url)
            opened.get_file(path, str(folder / url.rpartition("/")[2]))
    except (FileNotFoundError, PermissionError) as error:
        raise ScanError(url, f"cannot be fetched ({_line(error)})", "check the object, and the keys in the environment") from None
    except Exception as error:  # noqa: BLE001  each store has its own
        raise _stopped(above, error) from None
    found, errors, _ = find(folder)
    if errors:
        raise ScanError(above, errors[0].reason, errors[0].remedy)
    if len(found) > 1:
        raise ScanError(above, f"holds {len(found)} volumes", "put the .dcm of each volume into a folder of its own")
    return replace(found[0], name=case.name)


class Objects:
    """A URL that holds objects; as the `Place` of results, files are put there by `recorded`."""

    def __init__(self, url: str) -> None:
        """Raises `BundleError` where the store's library is missing or its URL makes no sense."""
        self.url = url.rstrip("/")
        self._store, self._root = _opened(self.url)

    @cached_property
    def marks(self) -> dict[str, str]:
        """What the store tells of each object under the URL, by name, of one listing; the URL's own name where it is one."""
        self._store.invalidate_cache()
        found = self._store.find(self._root, detail=True)
        root = self._root.rstrip("/")
        return {path.removeprefix(root).lstrip("/"): _mark(about) for path, about in found.items()}

    def state(self, names: Iterable[str]) -> str:
        with _answering(self.url):
            return self._state([self.marks.get(name) or self._mark_of(name) for name in names])

    def content(self, names: Iterable[str]) -> str:
        return ""  # which takes fetching it

    def recorded(self, files: Mapping[str, Path]) -> dict[str, list[Any]]:
        recorded: dict[str, list[Any]] = {}
        for key, path in sorted(files.items(), key=lambda item: item[0] == "json"):  # the sidecar last: then all is there
            names = names_in(path.parent, path)
            local = [path.parent / name for name in names]
            with _answering(self.url):
                if path.is_dir():
                    before = {f"{path.name}/{name}" for name in Objects(f"{self.url}/{path.name}").marks}
                    self.remove(before - set(names))  # of an earlier series with more slices
                for name, file in zip(names, local):
                    self._store.put_file(str(file), f"{self._root}/{name}")
                recorded[key] = [names, content(local), self._state([self._mark_of(name) for name in names])]
        return recorded

    def remove(self, names: Iterable[str]) -> None:
        with _answering(self.url):
            for name in names:
                if self._store.exists(f"{self._root}/{name}"):
                    self._store.rm_file(f"{self._root}/{name}")

    def prove(self) -> None:
        """Prove that objects can be put there, before any work is done. Raises `BundleError`."""
        try:
            self._store.pipe_file(f"{self._root}/.medgen", b"")
            self._store.rm_file(f"{self._root}/.medgen")
        except Exception as error:  # noqa: BLE001  each store has its own
            remedy = "check the URL, and the keys in the environment"
            raise BundleError(f"{self.url}: cannot be written to ({_line(error)}); {remedy}") from None

    def _state(self, marks: list[str | None]) -> str:
        known = [mark for mark in marks if mark]
        return hashlib.sha256("\n".join(known).encode()).hexdigest() if len(known) == len(marks) else ""

    def _mark_of(self, name: str) -> str | None:
        try:
            return _mark(self._store.info(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None


def _opened(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        more = ': pip install "medgen[s3]"' if url.startswith("s3") else ""
        raise BundleError(f"{url}: {_line(error)}{more}") from None
    except ValueError as error:
        raise BundleError(f"{url}: {_line(error)}; give a URL such as s3://BUCKET/FOLDER") from None
    return store, path


def _join(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}".rstrip("/")


def _mark(about: Mapping[str, Any]) -> str:
    return " ".join(str(about[key]) for key in MARKS if about.get(key) is not None)


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Turn what goes wrong with a store into `RunStopped`: it is no scan's fault."""
    try:
        yield
    except (RunStopped, BundleError):
        raise
    except Exception as error:  # noqa: BLE001  each store has its own
        raise _stopped(url, error) from None


def _stopped(url: str, error: Exception) -> RunStopped:
    return RunStopped(f"{url}: the store does not answer as it should ({_line(error)}); see to it, and the same again goes on")


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
