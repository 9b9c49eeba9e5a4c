"""What an audit found, as plain values: findings in a fixed order, and hashes of what was checked.

A certificate holds no time, no path and no name of a machine: whoever has the same table, audio and protocol gets
the same one. Each code has a page in ``docs/audit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unheard.errors import DataError
from unheard.files import digest

SEVERITIES = ("information", "warning", "error")
#: Number of examples that a finding keeps; its count is of all cases.
MAX_EXAMPLES = 25


@dataclass(frozen=True)
class Finding:
    """Something that a reader of the scores should know.

    Attributes
    ----------
    code
        Name of the finding and of its page, such as ``SPEAKER_ON_TWO_SIDES``.
    severity
        ``information``, ``warning`` or ``error``.
    message
        One sentence with the numbers.
    count
        Number of cases; the code's page says what is counted.
    examples
        The first cases in order, at most :data:`MAX_EXAMPLES`.
    """

    code: str
    severity: str
    message: str
    count: int
    examples: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Page that explains the code."""
        return f"docs/audit/{self.code}.md"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        plain = {name: getattr(self, name) for name in ("code", "severity", "message", "count", "page")}
        return {**plain, "examples": list(self.examples)}


def finding(code: str, severity: str, message: str, cases: Iterable[str]) -> Finding:
    """Make a finding from all its cases, which are sorted and counted; the first ones are kept as examples."""
    listed = sorted(cases)
    return Finding(code, severity, message, len(listed), tuple(listed[:MAX_EXAMPLES]))


@dataclass(frozen=True)
class Certificate:
    """The result of an audit.

    Attributes
    ----------
    table_hash
        Hash of the utterance table without its paths.
    protocol, protocol_hash
        Name and hash of the folds; None where the table was audited alone.
    clips, speakers
        How many clips and known speakers the table holds.
    findings
        Errors first, then warnings, then information; by code within each.
    versions
        Versions of everything that the findings depend on.
    """

    table_hash: str
    protocol: str | None
    protocol_hash: str | None
    clips: int
    speakers: int
    findings: tuple[Finding, ...]
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        ordered = sorted(self.findings, key=_rank)
        object.__setattr__(self, "findings", tuple(ordered))

    @property
    def passed(self) -> bool:
        """Whether no finding is an error."""
        return all(f.severity != "error" for f in self.findings)

    @property
    def hash(self) -> str:
        """SHA-256 of everything in the certificate: two audits agree where this does."""
        return digest(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for ``audit.json``."""
        names = ("table_hash", "protocol", "protocol_hash", "clips", "speakers", "passed")
        return {
            **{name: getattr(self, name) for name in names},
            "findings": [f.as_dict() for f in self.findings],
            "versions": dict(sorted(self.versions.items())),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Certificate:
        """Make the certificate again that :meth:`as_dict` wrote.

        Raises
        ------
        DataError
            Where a key is missing, a severity unknown, or ``passed`` does not follow from the findings.
        """
        try:
            findings = tuple(
                Finding(
                    str(f["code"]),
                    str(f["severity"]),
                    str(f["message"]),
                    int(f["count"]),
                    tuple(str(e) for e in f["examples"]),
                )
                for f in plain["findings"]
            )
            strange = sorted({f.severity for f in findings} - set(SEVERITIES))
            if strange:
                raise ValueError(f"severity {strange[0]!r}, expected {', '.join(SEVERITIES)}")
            certificate = cls(
                str(plain["table_hash"]),
                plain["protocol"],
                plain["protocol_hash"],
                int(plain["clips"]),
                int(plain["speakers"]),
                findings,
                {str(k): str(v) for k, v in plain["versions"].items()},
            )
            passed = bool(plain["passed"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not an audit certificate ({type(error).__name__}: {error}); `unheard audit` makes one"
            ) from error
        if passed != certificate.passed:
            raise DataError(
                f"the certificate says passed: {passed}, but its findings say {certificate.passed}; audit again"
            )
        return certificate


def _rank(found: Finding) -> tuple[int, str, str, int, tuple[str, ...]]:
    return -SEVERITIES.index(found.severity), found.code, found.message, found.count, found.examples
