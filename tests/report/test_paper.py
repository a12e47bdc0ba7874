"""The paper kit: the report's own numbers in LaTeX and Markdown, figures as PDF, methods and what they cite."""

from __future__ import annotations

import re

import pytest

from finevar.figures import drawing
from finevar.figures.charts import coefficients_chart
from finevar.report import page as report
from finevar.report import paper
from prose import MISSING, golden, numbers, without_numbers
from report_fixtures import CENTRE, baseline_metrics, explore, facts, simulate

MINUS = "\N{MINUS SIGN}"


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
    effects = report.effects(tables, facts())["table"]
    numbers = [cell["text"] for row in effects["rows"] for cell in row if re.search(r"\d", cell["text"])]
    markdown, latex = ((kit / "tables" / f"effects.{kind}").read_text() for kind in ("md", "tex"))
    assert len(numbers) > 20
    assert all(number in markdown for number in numbers)
    assert all(number.replace(MINUS, "$-$").replace("<", "$<$") in latex for number in numbers)


def test_there_is_a_table_for_every_metric_in_both_formats(kit):
    for response in CENTRE:
        for kind in ("md", "tex"):
            assert (kit / "tables" / f"coefficients_{response}.{kind}").exists()


def test_a_latex_table_is_well_formed(kit):
    for path in (kit / "tables").glob("*.tex"):
        text = path.read_text()
        shape = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert rows, path
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(shape) - 1}, path
        assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}"), path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % of R&D_1", r"50 \% of R\&D\_1"),
        (f"{MINUS}0.1", "$-$0.1"),
        ("a\\b^2~{x}#$", r"a\textbackslash{}b\textasciicircum{}2\textasciitilde{}\{x\}\#\$"),
        ("p < 0.001", r"p $<$ 0.001"),
    ],
)
def test_what_latex_reads_otherwise_is_escaped(text, expected):
    assert paper.latex(text) == expected


def test_a_bar_in_a_cell_does_not_end_it():
    assert paper.markdown_cell({"text": "a|b", "note": ""}) == r"a\|b"


def test_figures_are_pdf_and_svg(kit):
    assert (kit / "figures" / "coefficients.pdf").read_bytes().startswith(b"%PDF")
    assert (kit / "figures" / "coefficients.svg").read_text().startswith("<svg")


def test_the_methods_read_as_on_the_golden_page_and_have_the_studys_numbers(kit):
    text = (kit / "methods.md").read_text()
    golden("methods.md", text, same=without_numbers)
    levels = {2.5e-5, 1e-4, 4e-4, 16, 32, 64, 1, 2, 3}
    assert levels | {27, 54, 2, 2176, 800} <= set(numbers(text))
    assert not MISSING.search(text)


def test_every_citation_has_its_entry_and_every_entry_is_cited(kit):
    entries = set(re.findall(r"@\w+\{(\w+),", (kit / "references.bib").read_text())) - {"finevar_quickstart"}
    assert set(re.findall(r"\[@(\w+)\]", (kit / "methods.md").read_text())) == entries
    assert set(re.findall(r"\\cite\{(\w+)\}", (kit / "methods.tex").read_text())) == entries
    assert "bell2002bias" not in entries  # no run shares a trajectory here


def test_clustered_errors_are_told_and_cited(tables):
    fits = tables["fits"].assign(covariance="CR3")
    text = paper.analysis_text(tables | {"fits": fits}, facts())
    assert "@bell2002bias" in text
    assert "HC3" not in text


def test_a_study_that_a_gate_stopped_still_has_its_design(tmp_path):
    stopped = explore(simulate(gate=dict.fromkeys(CENTRE, "too few levels"))) | {"baselines": baseline_metrics()}
    paper.write_kit(stopped, {}, facts(), tmp_path)
    assert sorted(path.stem for path in (tmp_path / "tables").glob("*.md")) == ["factors", "points"]
