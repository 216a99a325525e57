"""What makes a finding the same one tomorrow, although lines have moved."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

from clawproof_langgraph.audit.findings import Finding, Report

_NUMBERS = re.compile(r"\d+")


def fingerprints(report: Report) -> dict[int, str]:
    """Give the fingerprint of each finding of a report, by the finding's `id()`.

    It does not depend on lines, so that it survives what is written above. Findings that are alike in one file are told
    apart by their order.
    """
    seen: Counter[str] = Counter()
    found: dict[int, str] = {}
    for outcome in report.outcomes:
        for finding in outcome.findings:
            base = _base(finding)
            seen[base] += 1
            found[id(finding)] = _hash(base, str(seen[base]))
    return found


def _base(finding: Finding) -> str:
    file = finding.place.file if finding.place else ""
    said = _NUMBERS.sub("0", finding.message)  # "12 agents" of today are "13 agents" of tomorrow
    return _hash(finding.rule, file, finding.tool, finding.agent, finding.resource, said)


def _hash(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%s" % (len(text), text))
    return digest.hexdigest()[:32]
