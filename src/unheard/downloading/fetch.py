"""One file over HTTPS that may break off: resumed by range, bounded in size and time, known by its digest."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from unheard.downloading.sources import Archive
from unheard.errors import DataError, MachineError

#: Bytes of an archive whose size nobody publishes.
MOST = 8_000_000_000
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    ``silence`` is in seconds without a byte, ``tries`` are those without progress, and ``rate`` is the least in
    bytes a second, over ``window`` seconds. Before the second try ``wait`` seconds are waited, before each further
    one twice as long, at most a minute.
    """

    silence: float = 30.0
    tries: int = 5
    wait: float = 1.0
    window: float = 30.0
    rate: float = 1_000.0


PATIENCE = Patience()


def fetch(
    archive: Archive,
    target: Path,
    *,
    patience: Patience = PATIENCE,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Fetch an archive into ``target`` and return its SHA-256.

    What a broken connection left in ``target`` is gone on with, where the server can. A file whose digest does not
    fit is fetched again once from the beginning.

    Parameters
    ----------
    archive
        What is fetched.
    target
        The file; it is complete when this returns.
    patience
        How long to wait for a server.
    progress
        Function that is called with (bytes there, all bytes; 0 where nobody knows).

    Raises
    ------
    MachineError
        The server cannot be reached, breaks off or is too slow again and again, or says no.
    DataError
        What came is longer than it may be, or has another digest twice.
    """
    for last in (False, True):
        _fetch_whole(archive, target, patience, progress)
        found = _digests(target)
        wrong = [name for name in ("md5", "sha256") if getattr(archive, name) not in (None, found[name])]
        if not wrong:
            return found["sha256"]
        target.unlink()
        if last:
            (name, *_) = wrong
            raise DataError(
                f"{archive.url}: the {name} is {found[name]}, expected {getattr(archive, name)}, also when "
                "fetched again; the archive was changed, or something on the way changes it"
            )
    raise AssertionError


def _fetch_whole(
    archive: Archive, target: Path, patience: Patience, progress: Callable[[int, int], None] | None
) -> None:
    failed = 0
    while True:
        before = _size(target)
        try:
            if _fetch_on(archive, target, patience, progress):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code == 416:  # it has no more: what is there is of something else
                target.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                raise MachineError(f"{archive.url}: {reason}") from error
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            reason = str(cause) or type(cause).__name__
            if isinstance(error, _RefusedError):
                raise MachineError(f"{archive.url}: {reason}") from error
        failed = 0 if _size(target) > before else failed + 1
        if failed >= patience.tries:
            raise MachineError(
                f"{archive.url}: {reason}; tried {patience.tries} times without getting further. "
                f"{_size(target):,} bytes are kept, and the same command goes on from there"
            )
        time.sleep(min(patience.wait * 2**failed, 60.0))


def _fetch_on(
    archive: Archive, target: Path, patience: Patience, progress: Callable[[int, int], None] | None
) -> bool:
    """Fetch what is missing over one connection; return whether all of it is there."""
    start = _size(target)
    if archive.bytes is not None and start == archive.bytes:
        return True
    request = urllib.request.Request(
        archive.url, headers={"User-Agent": "unheard", "Accept-Encoding": "identity"}
    )
    if start:
        request.add_header("Range", f"bytes={start}-")
    _check_address(archive.url)
    with urllib.request.build_opener(_Redirects).open(request, timeout=patience.silence) as answer:
        if start and answer.status != 206:  # it cannot go on in the middle
            start = 0
        total = _total(answer, start)
        if archive.bytes is not None and total not in (None, archive.bytes):
            raise DataError(
                f"{archive.url}: the server offers {total:,} bytes, expected {archive.bytes:,}: another file"
            )
        whole = archive.bytes if archive.bytes is not None else total
        with target.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            _copy(answer, file, start, whole, archive, patience, progress)
    # A server that tells no length is believed where the connection ends well.
    return whole is None or _size(target) == whole


def _copy(
    answer: Any,
    file: IO[bytes],
    start: int,
    whole: int | None,
    archive: Archive,
    patience: Patience,
    progress: Callable[[int, int], None] | None,
) -> None:
    there, since, counted = start, time.monotonic(), start
    while block := answer.read1(_BLOCK):
        there += len(block)
        if there > (MOST if whole is None else whole):
            file.seek(0)
            file.truncate()
            raise DataError(f"{archive.url}: more bytes come than the {whole or MOST:,} that there may be")
        file.write(block)
        if progress is not None:
            progress(there, whole or 0)
        now = time.monotonic()
        if now - since > patience.window:
            if there - counted < patience.rate * (now - since):
                raise TimeoutError(f"fewer than {patience.rate:,.0f} bytes a second come")
            since, counted = now, there


def _total(answer: Any, start: int) -> int | None:
    """Return the length of the whole file, as the server tells it."""
    length = answer.headers.get("Content-Length")
    if answer.status == 206:
        place, _, whole = str(answer.headers.get("Content-Range", "")).partition("/")
        if not place.startswith(f"bytes {start}-"):
            raise http.client.HTTPException(f"asked for bytes from {start:,}, the server gives {place!r}")
        if whole.isdecimal():
            return int(whole)
    return start + int(length) if length is not None and length.isdecimal() else None


class _RefusedError(OSError):
    """An address that is not gone to."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows where servers send one, by HTTPS alone."""

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        _check_address(arguments[-1])
        return super().redirect_request(*arguments)


def _check_address(url: str) -> None:
    """Refuse what is not HTTPS, but for servers on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    ):
        raise _RefusedError(f"only HTTPS is gone to, not {parts.scheme}://{parts.hostname}")


def _digests(path: Path) -> dict[str, str]:
    found = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for one in found.values():
                one.update(block)
    return {name: one.hexdigest() for name, one in found.items()}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
