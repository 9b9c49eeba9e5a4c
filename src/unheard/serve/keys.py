"""Keys of those who may ask, read from a file or the environment and compared in constant time."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from unheard.errors import UsageError
from unheard.files import read_bytes
from unheard.serve.errors import UnknownKeyError

#: Environment variable with keys, separated by commas or line breaks.
VARIABLE = "UNHEARD_API_KEYS"
#: Characters of a key.
SHORTEST, LONGEST = 16, 256
#: Bytes of a file of keys.
MAX_BYTES = 2**20


class Keys:
    """The keys that are taken; none lets everybody ask.

    Only digests are held, so that neither a message nor a dump of the memory shows a key.

    Parameters
    ----------
    keys
        The keys, each of 16 to 256 printable ASCII characters without blanks.

    Raises
    ------
    UsageError
        A key is too short, too long, or holds other characters.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        found = list(keys)
        for number, key in enumerate(found, start=1):
            if not SHORTEST <= len(key) <= LONGEST or not (key.isascii() and key.isprintable()) or " " in key:
                raise UsageError(
                    f"key {number} has {len(key)} characters; expected {SHORTEST} to {LONGEST} letters, digits "
                    "and signs without blanks, such as `openssl rand -hex 32` gives"
                )
        self._digests = [_digest(key.encode()) for key in found]

    def __len__(self) -> int:
        return len(self._digests)

    def owner(self, authorization: str | None) -> str:
        """Return by what the client of a request is known, from its header ``Authorization: Bearer KEY``.

        Every key is compared, so that the time taken does not tell which was nearly right.

        Raises
        ------
        UnknownKeyError
            Keys are asked for, and the header is missing or holds none of them.
        """
        if not self._digests:
            return ""
        scheme, _, key = (authorization or "").partition(" ")
        given = _digest(key.strip().encode("utf-8", "surrogateescape"))
        matches = [hmac.compare_digest(given, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            raise UnknownKeyError(
                "a key is needed in the header 'Authorization: Bearer KEY', and this is none of them"
            )
        return given.hex()


def read_keys(path: str | os.PathLike[str] | None) -> Keys:
    """Return the keys of a file, one a line (blank lines and lines with # are passed over), or of the environment.

    Raises
    ------
    UsageError
        The file holds no key, or a key cannot be taken.
    DataError
        The file cannot be read.
    """
    if path is None:
        text = os.environ.get(VARIABLE, "")
        return Keys(key for key in text.replace(",", "\n").split())
    lines = read_bytes(path, MAX_BYTES).decode("utf-8", "replace").splitlines()
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise UsageError(f"{Path(path)}: holds no key; expected one a line")
    try:
        return Keys(keys)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()
