"""Findings that are known already: a file of fingerprints that survive moved lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.audit.findings import Report
from clawproof_langgraph.audit.fingerprints import fingerprints

SCHEMA: Final = "clawproof.baseline/1"


class WrongBaseline(ValueError):
    """A baseline cannot be read or written; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Findings that are known already.

    Args:
        fingerprints: of each.
    """

    fingerprints: frozenset[str]

    @classmethod
    def read(cls, file: Path) -> Baseline:
        """Read a baseline; raises WrongBaseline."""
        try:
            said = json.loads(file.read_text("utf-8"))
            if said["schema"] != SCHEMA:
                raise WrongBaseline(f"{file} is no baseline of the schema {SCHEMA}. Write one with --write-baseline.")
            return cls(frozenset(str(each["fingerprint"]) for each in said["findings"]))
        except FileNotFoundError as exc:
            raise WrongBaseline(f"There is no baseline {file}. Write one with --write-baseline.") from exc
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
            if isinstance(exc, WrongBaseline):
                raise
            raise WrongBaseline(
                f"The baseline {file} cannot be read: {exc!r}. Write one with --write-baseline."
            ) from exc


def write_baseline(report: Report, file: Path) -> int:
    """Write what a report found, as far as it counts, or is in a baseline already; gives how many findings."""
    prints = fingerprints(report)
    found = [
        {"fingerprint": prints[id(each)], "rule": each.rule, "message": each.message, "file": each.place.file if each.place else ""}
        for outcome in report.outcomes
        for each in outcome.findings
        if each.waived in ("", KNOWN)
    ]  # fmt: skip
    document: dict[str, Any] = {"schema": SCHEMA, "findings": found}
    try:
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as exc:
        raise WrongBaseline(f"The baseline {file} cannot be written: {exc}.") from exc
    return len(found)


KNOWN: Final = "in the baseline"
"""The reason for which a finding of a baseline does not count."""
