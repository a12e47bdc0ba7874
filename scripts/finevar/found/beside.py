"""Claims as models that were found support them, beside what a study that trained over the same factors finds."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from finevar.reasons import Undecided
from finevar.tables import Rows

SAID = ("name", "response", "term", "framework", "source", "finding", "sign", "p_published")
FINDINGS = ("estimate", "ci_low", "ci_high", "p_value", "p_adjusted", "from_level", "to_level", "verdict", "reason")
FINDINGS += ("reason_code",)
ABSENT = {  # by code: the end of a sentence on the study that trained
    Undecided.NO_RESULTS: "has no results here yet",
    Undecided.UNTESTED: "does not test this claim",
}


def beside_rows(found: pa.Table, designed: pa.Table | None, study: str, other: str | None) -> Rows:
    """Return two rows (the table beside) of each claim of a found study: what it finds, and what the other one does.

    found, designed: the table claims. Claims go together by response, framework and term. Without the other study's
    results its rows are undecided, with the reason.
    """
    theirs = {key(row): row for row in designed.to_pylist()} if designed is not None else {}
    rows: Rows = []
    for claim in found.to_pylist():
        said = {name: claim[name] for name in SAID}
        rows.append(said | {"study": study, "kind": "found"} | {name: claim[name] for name in FINDINGS})
        if other is None:
            continue
        if match := theirs.get(key(claim)):
            finding = {name: match[name] for name in FINDINGS}
        else:
            code = Undecided.NO_RESULTS if designed is None else Undecided.UNTESTED
            finding = {"verdict": "undecided", "reason": f"{other} {ABSENT[code]}", "reason_code": code}
        rows.append(said | {"study": other, "kind": "designed"} | finding)
    return rows


def key(claim: dict[str, Any]) -> tuple[str, str, str]:
    """Return what a claim is about; factors of an interaction in any order."""
    return claim["response"], claim["framework"], ":".join(sorted(claim["term"].split(":")))
