"""The report's section on the runs: measured means of every setting, and every run."""

from __future__ import annotations

from finevar.report import tables as report_tables
from finevar.report.labels import names
from finevar.report.parts import Facts, Labels, Section, Table, Tables, group
from finevar.study.kinds import TRAINED
from finevar.tables import are_found, kind_of_runs
from finevar.words.formatting import counted

PART, PLACE, TITLE = "details", 90, "All settings and runs"
OF_LOSS = (
    "Loss is about calibration as much as about errors, so the expected calibration error (ECE) and the Brier score "
    "stand beside it."
)


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return the table of all settings and, but of found models, that of all runs."""
    metrics, found = tables["metrics"], are_found(tables["metrics"])
    grids = [settings_table(tables, facts)]
    finding = f"Measured means of {counted(len(grids[0]['rows']), 'setting')}."
    if not found:
        trained, shown = kind_of_runs(metrics) == TRAINED, names(tables, facts)
        shown = report_tables.with_calibration(shown) if trained else shown
        several = metrics["dataset"].nunique() > 1
        grids.append(report_tables.all_runs(metrics, labels=shown, factors=list(facts["factors"]), several=several))
    return {
        "finding": finding,
        "groups": [group("", [OF_LOSS] if kind_of_runs(metrics) == TRAINED else [], folded=grids)],
    }


def settings_table(tables: Tables, facts: Facts) -> Table:
    """Return the measured means of every setting."""
    known, factors = names(tables, facts), list(facts["factors"])
    points = report_tables.point_means(tables["metrics"], list(known), factors)
    trained = kind_of_runs(tables["metrics"]) == TRAINED
    shown = report_tables.with_calibration(known) if trained else known
    return report_tables.all_points(points, labels=shown, factors=factors)
