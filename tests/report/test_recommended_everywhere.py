"""The recommended setting is one: the same in the table, on the page, in the terminal, the export and the paper kit."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from finevar.analyses.recommended import recommended_point
from finevar.columns import STUDY_METRICS
from finevar.commands.export import choose_run
from finevar.commands.status import advised_lines
from finevar.parquet import write_rows
from finevar.report import paper, paper_text
from finevar.report.explorer import explorer_data
from finevar.report.labels import fitted_names
from finevar.report.sections.tradeoffs import section as tradeoffs
from finevar.report.summary import summary
from finevar.results.study_tables import write_tables
from finevar.tables import ADVICE, as_rows
from finevar.words.formatting import settings_list, settings_text
from finevar.words.recommendation import Advice, headline
from report_fixtures import FACTORS, explore, facts, simulate


@pytest.fixture(scope="module")
def tables():
    return explore(simulate())


@pytest.fixture(scope="module")
def levels(tables):
    """Return the recommended setting's levels, by the table alone."""
    (point,) = tables["recommendation"].query("role == 'recommended'")["point_id"]
    runs = tables["metrics"]
    return runs.loc[runs["point_id"] == point, list(FACTORS)].iloc[0].to_dict()


def test_the_pages_first_line_names_it(tables, levels):
    use = summary(tables, fitted_names(tables, facts()), list(FACTORS), 0.95)[0]
    assert use["title"] == "Use"
    assert use["text"].lower().startswith(settings_list(levels))


def test_the_explorer_starts_there(tables, levels):
    assert json.loads(explorer_data(tables, fitted_names(tables, facts()), facts()))["recommended"] == levels


def test_the_trade_offs_mark_it(tables):
    found = tradeoffs(tables, fitted_names(tables, facts()), list(FACTORS), 0.95)
    (everything,) = found["groups"][1]["folded"]
    marked = [row for row in everything["rows"] if row[-1]["note"].startswith("recommended")]
    ids = tables["pareto_points"]["point_id"].tolist()
    assert [ids[everything["rows"].index(row)] for row in marked] == [recommended_point(tables)]


def test_the_paper_kit_names_it(tables, levels):
    assert settings_text(levels) in " ".join(paper_text.results(tables, facts()))
    ranked = dict(paper.paper_tables(tables, facts()))["settings"]
    assert [row[-1]["text"] for row in ranked["rows"]].count("recommended") == 1
    assert ranked["rows"][0][-1]["text"] == "recommended"


def test_the_status_names_it(tables, levels, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "quickstart"
    (folder / "analysis").mkdir(parents=True)
    write_rows(as_rows(tables["metrics"]), folder / "metrics.parquet", STUDY_METRICS)
    paths = [str(folder / "analysis" / f"{name}.parquet") for name in ADVICE]
    write_tables({name: as_rows(tables[name]) for name in ADVICE}, paths)
    (first, _) = advised_lines(SimpleNamespace(config=facts()["config"]))
    assert first.strip().startswith(f"Use {settings_list(levels)}")


def test_the_export_takes_a_run_of_it(tables, levels):
    advice = Advice.of(tables, tables["metrics"], list(FACTORS), fitted_names(tables, facts()))
    assert settings_list(levels) in headline(advice)
    run = choose_run(tables["metrics"], advice, "amazon", list(FACTORS)).run
    assert {name: run[name] for name in FACTORS} == levels
    assert run["seed"] == 0
