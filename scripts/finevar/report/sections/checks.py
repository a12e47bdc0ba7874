"""The report's section on the fits' checks: lack of fit first, then ladder, residuals and influential runs."""

from __future__ import annotations

import pandas as pd

from finevar.planning.power import diagnose
from finevar.reasons import OK
from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Facts, Labels, Section, Tables, chosen, group
from finevar.report.separation import separation_sentence
from finevar.study.coding import Codings, design_matrix, numbers_of, terms
from finevar.words import caveats

PART, PLACE, TITLE = "details", 20, "Model ladder and checks"


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return whether the fits may be believed: lack of fit first, then ladder, residuals and influential runs."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    model, alpha = facts["config"]["analysis"]["model"], 1 - facts["config"]["analysis"]["confidence"]
    by_check = {(row["response"], row["check"]): row for row in tables["checks"].to_dict("records")}
    found = [by_check[name, "lack_of_fit"] for name in labels]
    lack = caveats.lack_of_fit_sentences(found, labels, model=model, alpha=alpha)
    unseen = caveats.unseen_cliffs_sentence(
        {name: tables["metrics"][name].nunique() for name in numbers_of(facts["factors"])}, model
    )
    ladders = [(chosen(tables["ladder"], response=name), label) for name, label in labels.items()]
    runs = [(by_check[name, "largest_cook"], by_check[name, "largest_leverage"], labels[name]) for name in labels]
    grids = (
        analysis_tables.checks_table(tables["checks"], labels),
        analysis_tables.influence_table(tables["influence"], labels),
    )
    groups = [
        group(
            "The model ladder",
            [caveats.ladder_sentence(rungs, label, alpha) for rungs, label in ladders],
            tables=[analysis_tables.ladder_table(tables["ladder"], labels)],
        ),
        group("Noise, shape and residuals", caveats.residual_sentences(tables["checks"], labels, alpha)),
        group("Separation of terms", [separation(tables["metrics"], facts["factors"], model)]),
        group("Influential runs", [caveats.influence_sentence(*found) for found in runs], folded=grids),
    ]
    return {"finding": " ".join([*lack, unseen]).strip(), "groups": groups}


def separation(metrics: pd.DataFrame, factors: Codings, model: str) -> str:
    """Say how well the runs that count separate the surface's terms."""
    done = metrics[metrics["status"] == OK]
    return separation_sentence(diagnose(*design_matrix(done, factors, terms(factors, model))))
