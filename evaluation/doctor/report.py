"""The examination as lines to read, or as JSON for a monitor."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from evaluation.doctor.findings import Finding, Status, count_failed


def report_lines(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each finding, and what to mend under it."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status.value:4}  {finding.name:{width}}  {finding.found}")
        if finding.mend:
            lines.append(f"{'':4}  {'':{width}}  -> {finding.mend}")
    counts = {s: sum(finding.status is s for finding in findings) for s in Status}
    told = ", ".join(f"{n} {status.value}" for status, n in counts.items() if n)
    return [*lines, "", told]


def report_json(url: str, findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON object."""
    return json.dumps(
        {
            "url": url,
            "passed": not count_failed(findings),
            "findings": [asdict(finding) for finding in findings],
        },
        indent=2,
    )
