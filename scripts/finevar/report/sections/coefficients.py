"""The report's section on coefficients: effects in natural units, both readings of each fit, and its quality."""

from __future__ import annotations

from typing import Any

from finevar.report import tables as report_tables
from finevar.report.labels import gate_sentences, names
from finevar.report.parts import STOPPED, Facts, Labels, Section, Tables, for_new_sentences, group
from finevar.report.sections.effects import intervals
from finevar.tables import are_found
from finevar.words import caveats, wording
from finevar.words import effects as words
from finevar.words.numbers import percent

PART, PLACE, TITLE = "details", 10, "Coefficients"
OF_MODELS = (
    "Pure error is here the spread between models of the same settings on the same data set, whoever trained them."
)


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return effects in natural units, coefficients of both frameworks in both units, and the fits."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    found, confidence = tables_of(tables, labels, facts), facts["config"]["analysis"]["confidence"]
    fits, coefficients = tables["fits"], tables["coefficients"]
    meaning = [
        wording.identity_sentence(fits),
        *caveats.covariance_sentences(fits, labels, new_sentences=for_new_sentences(tables)),
    ]
    families = caveats.families_sentence(coefficients, tables["effects"])
    meaning.append(f"{families} Intervals are {percent(confidence)}, not adjusted.")
    absolute = fits[(fits["framework"] == "absolute") & fits["gate"].isna()]
    smallest = words.smallest_sentence(absolute, labels, facts["config"]["analysis"]["smallest_effect"])
    stopped = gate_sentences(fits, names(tables, facts))
    groups = [
        group("", [*stopped, smallest, intervals(tables, confidence)], tables=[found["table"]]),
        group("Absolute and relative", meaning, figures=["coefficients"], folded=[*found["coded"], *found["natural"]]),
        group("Quality of the fits", [OF_MODELS] if are_found(tables["metrics"]) else [], tables=[found["fits"]]),
    ]
    return {"finding": words.terms_sentence(coefficients), "groups": groups}


def tables_of(tables: Tables, labels: Labels, facts: Facts) -> dict[str, Any]:
    """Return the tables of effects and fits, and a table of coefficients for each metric by kind of unit."""
    fits, known = tables["fits"], names(tables, facts)
    absolute = fits[(fits["framework"] == "absolute") & fits["gate"].isna()]
    coefficients = {
        units: [report_tables.coefficients_table(tables["coefficients"], name, known[name], units) for name in labels]
        for units in ("coded", "natural")
    }
    effects = report_tables.effects_table(tables["effects"], known, facts["config"]["analysis"]["confidence"])
    return coefficients | {"table": effects, "fits": report_tables.fits_table(absolute, known)}
