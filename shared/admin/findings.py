"""What the doctor says: one fact about one thing, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "ok"]
"""`error`: it does not work. `warning`: it works, and will do harm. `ok`: it was looked at and is in order."""
ORDER: tuple[Severity, ...] = ("error", "warning", "ok")


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at, `subject` whom it is about by names of the configuration, `found` what was
    found and `todo` what to do, "" when it is nothing. None of them holds a secret, an address or an id of Azure's."""

    check: str
    severity: Severity
    subject: str
    found: str
    todo: str = ""


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """`{object, healthy, errors, warnings, findings: [{check, severity, subject, found, todo}]}`, the worst first."""
    errors, warnings = (sum(one.severity == kind for one in findings) for kind in ("error", "warning"))
    return {
        "object": "doctor.report",
        "healthy": not errors,
        "errors": errors,
        "warnings": warnings,
        "findings": [asdict(one) for one in by_severity(findings)],
    }


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """The worst first, else as they came."""
    return sorted(findings, key=lambda one: ORDER.index(one.severity))
