"""The report's section on the design: what was planned, and what became of it."""

from __future__ import annotations

from finevar.report import tables as report_tables
from finevar.report.parts import Facts, Labels, Section, Tables, group
from finevar.study.designs import DESIGNS
from finevar.study.kinds import TRAINED
from finevar.words import completeness, wording
from finevar.words.design import condition_sentences
from finevar.words.formatting import settings_list
from finevar.words.seeds import idle_sentences, keeps_head, seed_sentences

PART, PLACE, TITLE = "details", 85, "Design"
STUDIES = (TRAINED,)


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return the design, its factors and what every run has in common, and the runs that no metric counts."""
    metrics, config = tables["metrics"], facts["config"]
    fixed = {name: value for name, value in config["training"].items() if name not in facts["factors"]}
    kind = DESIGNS[config["sweep"]["design"]["kind"]]
    examples = {name: seen["parts"]["train"]["sentences"] for name, seen in facts["seen"].items()}
    planned = [
        f"Design: {kind.name}, {kind.meaning}.",
        *condition_sentences(config),
        *seed_sentences(config["sweep"], metrics),
        *idle_sentences(config["sweep"], metrics, examples, keeps_head=keeps_head(metrics)),
        f"The same in every run: {settings_list(fixed)}.",
    ]
    groups = [
        group("", planned, tables=[report_tables.factors_table(facts["factors"], config["baseline"]["settings"])])
    ]
    if lost := report_tables.lost_runs(metrics):
        said = completeness.completeness_sentences(metrics, facts["factors"], config["analysis"]["model"])
        groups.append(group("What is missing", said, tables=[lost]))
    return {"finding": wording.runs_sentence(metrics), "groups": groups}
