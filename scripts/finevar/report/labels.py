"""The metrics' names in words on a study's pages, and what kept some of them from being fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.report.parts import Facts, Labels, Row, Tables
from finevar.words import wording
from finevar.words.formatting import joined, response_labels, together


def names(tables: Tables, facts: Facts) -> dict[str, str]:
    """Return the responses' names in words."""
    known = [*facts["config"]["analysis"]["responses"], *tables["fits"]["response"]]
    return response_labels(tables["metrics"], dict.fromkeys(known))


def fitted_names(tables: Tables, facts: Facts) -> dict[str, str]:
    """Return the names in words of the responses that no gate stopped."""
    fits = tables["fits"]
    fitted = set(fits.loc[(fits["framework"] == "absolute") & fits["gate"].isna(), "response"])
    return {response: label for response, label in names(tables, facts).items() if response in fitted}


def gate_sentences(fits: pd.DataFrame, labels: Labels) -> list[str]:
    """Return a sentence on each gate; responses that the same one stopped together."""
    stopped: list[Mapping[str, Any]] = fits[fits["gate"].notna()].drop_duplicates("response").to_dict("records")
    alike = together(((row["framework"], row["gate"]), labels[row["response"]]) for row in stopped)
    return [
        wording.gate_sentence({"framework": framework, "gate": gate}, joined(names))
        for (framework, gate), names in alike.items()
    ]


def second_order(tables: Tables, groups: Sequence[str]) -> list[Row]:
    """Return the coefficients of these groups with an effect, absolute and in coded units."""
    rows = tables["coefficients"].query("framework == 'absolute' and units == 'coded' and verdict == 'effect'")
    return rows[rows["group"].isin(groups)].to_dict("records")
