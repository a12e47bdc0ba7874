"""What follows from the fitted surfaces, as tidy rows: checks and sensitivity, slopes and optimum, baselines."""

from __future__ import annotations

from finevar.analyses.baselines import against_baseline_rows, matched_rows
from finevar.analyses.fits import FittedStudy
from finevar.analyses.robustness import robustness_tables
from finevar.statistics.checks import check_rows, influence_table
from finevar.statistics.optimum import optimum_rows, predicted_best, ridge_rows, rival_levels
from finevar.statistics.regression import Surface
from finevar.statistics.slopes import interplay_rows, johnson_neyman_rows, slope_rows
from finevar.statistics.suspects import robust_residuals, suspects
from finevar.statistics.verdicts import adjust_families, columns_key
from finevar.tables import Rows


def check_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables checks, influence, sensitivity and robustness."""
    influence = study.rows(influence_rows)
    return {"checks": study.rows(check_rows), "influence": influence} | robustness_tables(study)


def influence_rows(surface: Surface) -> Rows:
    """Return each run's influence, and whether it is suspect."""
    found = influence_table(surface).assign(robust=robust_residuals(surface), suspect=suspects(surface))
    return found.to_dict("records")


def explore_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables slopes, interplay, johnson_neyman, optima and those beside it, and predicted_best."""
    tables = {
        "slopes": adjusted_slopes(study),
        "interplay": study.rows(interplay_rows),
        "johnson_neyman": study.rows(johnson_neyman_rows),
        "ridge": study.rows(ridge_rows),
    }
    tables |= {name: [] for name in ("predicted_best", "optima", "optimum_factors", "canonical")}
    for surface in study.surfaces:
        found = optimum_rows(surface)
        best, alike = predicted_best(surface)
        tables["predicted_best"].append(best)
        tables["optimum_factors"] += [
            row | rival_levels(alike, surface.codings, row["factor"], row.get("at"))
            for row in found.pop("optimum_factors")
        ]
        for name, rows in found.items():
            tables[name] += rows
    return tables


def compare_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables against_baseline and matched."""
    return {"against_baseline": study.rows(against_baseline_rows), "matched": study.rows(matched_rows)}


def adjusted_slopes(study: FittedStudy) -> Rows:
    """Return all slopes, p-values adjusted by place; a slope has one p in both units, so only coded rows count."""
    rows = study.rows(lambda surface: slope_rows(surface, study.plan.baseline))
    coded, natural = ([row for row in rows if row["units"] == units] for units in ("coded", "natural"))
    adjust_families(coded, columns_key(("place",)), "fdr_bh", "slope")
    for row, own in zip(natural, coded, strict=True):
        row |= {name: own.get(name) for name in ("p_adjusted", "family")}
    return rows
