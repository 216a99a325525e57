"""Findings that are known already: a file of fingerprints that survive moved lines."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Report
from clawproof_langgraph.audit.reports.sources import Sources

_NUMBER: Final = re.compile(r"\d+")

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
    prints = fingerprints(report.outcomes, report.root)
    found = [
        {
            "fingerprint": prints[id(each)],
            "rule": each.rule,
            "message": each.message,
            "file": each.place.file if each.place else "",
        }
        for outcome in report.outcomes
        for each in outcome.findings
        if each.waived in ("", KNOWN)
    ]
    document: dict[str, Any] = {"schema": SCHEMA, "findings": found}
    try:
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as exc:
        raise WrongBaseline(f"The baseline {file} cannot be written: {exc}.") from exc
    return len(found)


KNOWN: Final = "in the baseline"
"""The reason for which a finding of a baseline does not count."""


def fingerprints(outcomes: Iterable[Outcome], root: Path) -> dict[int, str]:
    """Give the fingerprint of each finding, by its identity: what it is about, and its line's text, not its number."""
    sources = Sources(root)
    seen: Counter[str] = Counter()
    found = {}
    for outcome in outcomes:
        for each in outcome.findings:
            print_ = _fingerprint(each, sources)
            seen[print_] += 1
            found[id(each)] = print_ if seen[print_] == 1 else f"{print_}-{seen[print_]}"
    return found


def fingerprint(finding: Finding, root: Path) -> str:
    """Give the fingerprint of one finding."""
    return _fingerprint(finding, Sources(root))


def _fingerprint(finding: Finding, sources: Sources) -> str:
    place = finding.place
    # "12 agents" of today are "13 agents" of tomorrow.
    about = [finding.rule, finding.tool, finding.agent, finding.resource, _NUMBER.sub("0", finding.message)]
    if place is not None and place.line:
        about += [place.file, " ".join(sources.line(place.file, place.line).split())]
    text = "".join(f"{len(part)}:{part}" for part in about)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
