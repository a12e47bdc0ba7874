"""The paper kit: a paper that compiles, the report's own numbers in it, and what it cites."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from compiled import check_paper
from finevar.figures import drawing
from finevar.figures.charts import coefficients_chart
from finevar.report import latex, paper, paper_text
from finevar.report.labels import fitted_names
from finevar.report.sections import coefficients
from finevar.study.confirmation import chosen_from
from finevar.tables import TABLES
from prose import MISSING, golden, numbers, without_numbers
from report_fixtures import CENTRE, FACTORS, baseline_metrics, explore, factors, fitting, simulate
from report_fixtures import facts as page_facts

MINUS = "\N{MINUS SIGN}"


def facts(study: dict | None = None, datasets: tuple[str, ...] = ("amazon",)) -> dict:
    """Return what the paper kit knows besides tables: the page's facts, with the baseline's data and the source."""
    known = page_facts(study, datasets)
    source = {"kind": "package", "package": "vaderSentiment==3.3.2", "sha256": "5d7c06e0" * 8}
    config = known["config"] | {
        "sources": known["config"]["sources"] | {"vader": source},
        "datasets": known["config"]["datasets"] | {"movies": {"source": "vader", "file": "movies.txt"}},
    }
    prepared = known["datasets"] | {"movies": known["datasets"]["amazon"]}
    return known | {"config": config, "datasets": prepared}


@pytest.fixture(scope="module")
def tables():
    return explore(simulate()) | {"baselines": baseline_metrics()}


@pytest.fixture(scope="module")
def kit(tables, tmp_path_factory):
    """Return the folder of a simulated study's paper kit."""
    folder = tmp_path_factory.mktemp("paper")
    drawn = drawing.draw(coefficients_chart(tables["coefficients"]))
    paper.write_kit(tables, {"coefficients": drawn}, facts(), folder)
    return folder


def test_the_tables_hold_the_reports_numbers(kit, tables):
    effects = coefficients.tables_of(tables, fitted_names(tables, facts()), facts())["table"]
    titles = [column["title"] for column in effects["columns"]]
    shown = [titles.index(title) for title in ("Largest change", "Mid-range", "Adjusted p")]
    texts = [row[number]["text"] for row in effects["rows"] for number in shown]
    markdown, typeset = ((kit / "tables" / f"effects.{kind}").read_text() for kind in ("md", "tex"))
    assert len(texts) > 20
    assert all(text in markdown for text in texts)
    assert all(text.replace(MINUS, "$-$").replace("< ", "$<$~") in typeset for text in texts)


def test_there_is_a_table_for_every_metric_in_both_formats(kit):
    for response in CENTRE:
        for kind in ("md", "tex"):
            assert (kit / "tables" / f"coefficients_{response}.{kind}").exists()


def test_the_paper_compiles(kit, tmp_path):
    check_paper(kit, tmp_path)


def test_a_paper_with_names_that_latex_reads_otherwise_compiles(tmp_path):
    """Names as people give them, and as many columns as a study may have."""
    study = factors(6)
    odd = facts(study) | {"config": facts(study)["config"] | {"study": "a_b-c"}}
    many = explore(simulate(small(study)), small(study), "first_order")
    metrics = many["metrics"].assign(device="100% <GPU> #1 {\u00e9} \u4f60 ~^\\ [a_b] & @home")
    paper.write_kit(many | {"metrics": metrics, "baselines": baseline_metrics()}, {}, odd, tmp_path / "odd")
    check_paper(tmp_path / "odd", tmp_path)


def small(study: dict) -> dict:
    """Return a study's factors with two levels each, so that a full grid stays small."""
    return {name: factor | {"levels": [min(factor["levels"]), max(factor["levels"])]} for name, factor in study.items()}


def test_the_tables_fit_the_line_where_their_words_do():
    columns = [["learning rate"] * 3, ["0.8436", "0.1"], ["a note of several words that must break somewhere"]]
    size, widths = latex.fitted(columns * 3)
    assert size in latex.SIZES
    assert sum(widths) <= latex.LINE - latex.GAP * 8 + 0.01
    assert max(widths) < latex.width(columns[2][0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % of R&D_1", r"50 \% of R\&D\_1"),
        (f"{MINUS}0.1", "$-$0.1"),
        ("a\\b^2~{x}#$", r"a\textbackslash{}b\textasciicircum{}2\textasciitilde{}\{x\}\#\$"),
        ("p < 0.001", r"p $<$ 0.001"),
        ("\u00e9 \u017c \u4f60", "\u00e9 z ?"),  # Latin-1 stays, another letter loses its accent, others are lost
    ],
)
def test_what_latex_reads_otherwise_is_escaped(text, expected):
    assert latex.latex(text) == expected


def test_a_bar_in_a_cell_does_not_end_it():
    cells = [{"text": "a|b", "note": ""}]
    found = {"caption": "", "columns": [{"title": "c", "kind": "text"}], "rows": [cells]}
    assert r"| a\|b |" in paper.markdown_table(found)


def test_figures_are_pdf_svg_and_png(kit):
    assert (kit / "figures" / "coefficients.pdf").read_bytes().startswith(b"%PDF")
    assert (kit / "figures" / "coefficients.svg").read_text().startswith("<svg")
    assert (kit / "figures" / "coefficients.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def confirmation_of(tables: dict, *, own: str) -> pd.DataFrame:
    """Return a confirmation of a study's recommended setting and of the baseline's own, by its id."""
    best = tables["recommendation"].set_index("role").loc["recommended", "point_id"]
    row = {"role": "recommended", "point_id": best, "response": "accuracy", "part": "eval", "sentences": 800}
    row |= {"fresh_seeds": "2 3 4", "runs": 3, "failed": 0, "mean": 0.8712, "ci_low": 0.851, "ci_high": 0.891}
    row |= {"selected": 0.8821, "shrinkage": -0.0109, "chosen_from": chosen_from(tables["metrics"]["run_id"])}
    ends = {"difference": 0.0131, "difference_low": 0.0012, "difference_high": 0.025, "mean": 0.8581}
    rows = [row, row | {"role": "baseline", "point_id": own, "selected": None, "shrinkage": None} | ends]
    return fitting(TABLES["confirmation"].schema, rows)


def test_a_confirmed_setting_has_its_sentence_and_table(tables, tmp_path):
    """The baseline's own settings are not among the study's, so their levels are those of its config."""
    confirmed = tables | {"confirmation": confirmation_of(tables, own="not of the study")}
    paper.write_kit(confirmed, {}, facts(), tmp_path)
    assert {0.8712, 0.8821, 0.013} <= set(numbers((tmp_path / "results.md").read_text()))
    table = (tmp_path / "tables" / "confirmation.md").read_text()
    last = [cell.strip() for cell in table.strip().split("\n")[-1].strip("|").split("|")]
    assert last[:4] == ["1e-4", "32", "1", "baseline"]
    stale = tables | {"confirmation": confirmed["confirmation"].assign(chosen_from="other runs")}
    paper.write_kit(stale, {}, facts(), tmp_path / "stale")
    assert not (tmp_path / "stale" / "tables" / "confirmation.md").exists()
    assert 0.8712 not in numbers((tmp_path / "stale" / "results.md").read_text())


@pytest.mark.parametrize("name", ["methods", "results"])
def test_the_text_reads_as_on_the_golden_page(kit, name):
    text = (kit / f"{name}.md").read_text()
    golden(f"{name}.md", text, same=without_numbers)
    assert not MISSING.search(text)


def test_the_methods_have_the_studys_numbers(kit):
    levels = {2.5e-5, 1e-4, 4e-4, 16, 32, 64, 1, 2, 3}
    assert levels | {27, 54, 2, 2176, 800} <= set(numbers((kit / "methods.md").read_text()))


def test_the_results_name_the_recommended_setting_with_its_measured_means(kit, tables):
    best = tables["recommendation"].set_index("role").loc["recommended", "point_id"]
    runs = tables["metrics"][tables["metrics"]["point_id"] == best]
    text = (kit / "results.md").read_text()
    means = {round(float(runs[name].mean()), 4) for name in CENTRE}
    assert means | set(runs[list(FACTORS)].iloc[0]) <= set(numbers(text.split("\n\n")[1]))


def test_every_citation_has_its_entry_and_every_entry_is_cited(kit):
    text = "".join((kit / f"{name}.md").read_text() for name in ("methods", "results"))
    entries = set(re.findall(r"^@\w+\{([\w-]+),", (kit / "references.bib").read_text(), re.MULTILINE))
    assert set(re.findall(r"[\[ ]@([\w-]+)[;\]]", text)) == entries
    assert "finevar_quickstart" in entries
    assert "bell2002bias" not in entries  # no run shares a trajectory here


def test_clustered_errors_are_described_and_cited(tables):
    text = paper_text.errors_text(tables | {"fits": tables["fits"].assign(covariance="CR3")})
    assert "@bell2002bias" in text
    assert "HC3" not in text


def test_methods_do_not_mention_what_the_study_did_not_do(tables):
    """Two seeds: no CR2. One data set: no verdicts by data set. No suspects: nothing is left open for them."""
    quiet = tables | {"influence": tables["influence"].assign(suspect=False)}
    text = " ".join(paper_text.methods(quiet, facts()))
    assert "HC3" in text
    assert not re.search("CR2|CR3|data sets|suspect|new head", text)
    metrics = tables["metrics"].assign(dataset=["amazon", "tweets"] * (len(tables["metrics"]) // 2))
    loud = tables | {"influence": tables["influence"].assign(suspect=True), "metrics": metrics}
    text = " ".join(paper_text.methods(loud, facts(datasets=("amazon", "tweets"))))
    assert "suspect" in text
    assert "a block for each seed and data set" in text
    assert "differs between data sets" in text


def test_a_study_that_a_gate_stopped_still_has_its_design(tmp_path):
    stopped = explore(simulate(gate=dict.fromkeys(CENTRE, "too few levels"))) | {"baselines": baseline_metrics()}
    paper.write_kit(stopped, {}, facts(), tmp_path)
    assert sorted(path.stem for path in (tmp_path / "tables").glob("*.md")) == ["factors", "points"]
