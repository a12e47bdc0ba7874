"""What follows from the fitted surfaces, as tidy rows: checks and sensitivity, slopes and optimum, baselines."""

from __future__ import annotations

from finevar.analyses.baselines import against_baseline_rows, matched_rows
from finevar.analyses.fits import FittedStudy
from finevar.analyses.robustness import robustness_tables
from finevar.statistics.checks import check_rows, influence_table
from finevar.statistics.optimum import optimum_rows, recommendation, ridge_rows
from finevar.statistics.slopes import interplay_rows, johnson_neyman_rows, slope_rows
from finevar.statistics.suspects import robust_residuals, suspects
from finevar.statistics.verdicts import adjust_families, columns_key
from finevar.tables import Rows


def check_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables checks, influence, sensitivity and robustness."""
    tables: dict[str, Rows] = {"checks": [], "influence": []}
    for surface in study.surfaces:
        tables["checks"] += check_rows(surface)
        influence = influence_table(surface).assign(robust=robust_residuals(surface), suspect=suspects(surface))
        tables["influence"] += influence.to_dict("records")
    return tables | robustness_tables(study)


def explore_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables slopes, interplay, johnson_neyman, optima and those beside it, and recommendations."""
    names = ("slopes", "interplay", "johnson_neyman", "ridge", "recommendations")
    tables: dict[str, Rows] = {name: [] for name in (*names, "optima", "optimum_factors", "canonical")}
    for surface in study.surfaces:
        tables["slopes"] += slope_rows(surface, study.plan.baseline)
        tables["interplay"] += interplay_rows(surface)
        tables["johnson_neyman"] += johnson_neyman_rows(surface)
        tables["ridge"] += ridge_rows(surface)
        found = optimum_rows(surface)
        best, levels = recommendation(surface)
        tables["recommendations"].append(best)
        tables["optimum_factors"] += [row | levels[row["factor"]] for row in found.pop("optimum_factors")]
        for name, rows in found.items():
            tables[name] += rows
    # A slope has one p in both units, so only coded rows are counted.
    key = columns_key(("response", "factor", "place", "moderator", "moderator_level"))
    padded = [{"moderator": "", "moderator_level": 0.0} | row for row in tables["slopes"]]
    coded = [row for row in padded if row["units"] == "coded"]
    adjust_families(coded, columns_key(("place",)), "fdr_bh", "slope")
    found_p = {key(row): {name: row[name] for name in ("p_adjusted", "family")} for row in coded}
    for row, full in zip(tables["slopes"], padded, strict=True):
        row |= found_p[key(full)]
    return tables


def compare_study(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables against_baseline and matched."""
    tables: dict[str, Rows] = {"against_baseline": [], "matched": []}
    for surface in study.surfaces:
        tables["against_baseline"] += against_baseline_rows(surface)
        tables["matched"] += matched_rows(surface)
    return tables
