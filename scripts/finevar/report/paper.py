"""What a paper takes from a study: a main.tex that compiles, its text, tables and figures, and what it cites."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from finevar.analyses.confirmation import is_confirmed
from finevar.figures.drawing import Drawing
from finevar.figures.names import FIGURES, SURFACE, kind_of, response_of
from finevar.files import write_bytes
from finevar.report import page as report
from finevar.report import paper_text
from finevar.report import tables as report_tables
from finevar.report.labels import fitted_names, names
from finevar.report.latex import figure, label_of, latex, long_table
from finevar.report.paper_text import Facts
from finevar.report.parts import Row, Table, Tables, rows_of
from finevar.report.recommendation import advice, ranking_table
from finevar.report.sections import coefficients as coefficients_section
from finevar.report.sections import confirmation, optimum, runs, slopes
from finevar.tables import are_found
from finevar.words.formatting import counted, factor_label, joined
from finevar.words.numbers import percent

TEMPLATES = Path(__file__).parent / "templates"
REFERENCES = TEMPLATES / "references.bib"  # of the methods and sources that a study may use
MAIN_TABLES, MAIN_FIGURES = (
    ("factors", "points", "effects", "confirmation"),
    ("effects", "main_effects"),
)  # the rest is an appendix
ENTRIES = {  # of references.bib, by key
    re.match(r"@\w+\{(\w+),", entry)[1]: entry for entry in REFERENCES.read_text(encoding="utf-8").strip().split("\n\n")
}
CITED = rf"@(?:{'|'.join(ENTRIES)}|finevar_[\w-]+)"
MARK = re.compile(rf"((?: ?{CITED})+|@(?:tab|fig):\w+)")  # in text: citations that follow each other, or a reference


def write_kit(tables: Tables, figures: Mapping[str, Drawing], facts: Facts, folder: Path) -> None:
    """Write main.tex and what it needs to a folder: text and tables (as Markdown, too), figures as PDF, SVG and PNG."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    made, drawn = dict(paper_tables(tables, facts)), drawn_figures(tables, figures, facts)
    for name, found in made.items():
        write_bytes(markdown_table(found).encode(), folder / "tables" / f"{name}.md")
        write_bytes(long_table(found, name).encode(), folder / "tables" / f"{name}.tex")
    for name, drawing in drawn.items():
        write_bytes(drawing.pdf(), folder / "figures" / f"{name}.pdf")
        write_bytes(drawing.svg.encode(), folder / "figures" / f"{name}.svg")
        write_bytes(drawing.png(2), folder / "figures" / f"{name}.png")
    text = {"methods": [*paper_text.methods(tables, facts)], "results": [*paper_text.results(tables, facts)]}
    for name, paragraphs in text.items():
        words = "\n\n".join([f"# {name.title()}", *(marked(one, str, in_markdown) for one in paragraphs)])
        write_bytes(f"{words}\n".encode(), folder / f"{name}.md")
        typeset = "\n\n".join(marked(one, latex, in_latex) for one in paragraphs)
        write_bytes(f"{typeset}\n".encode(), folder / f"{name}.tex")
    write_bytes(main_file(tables, facts, made, drawn).encode(), folder / "main.tex")
    write_bytes(references(tables, facts, cited_keys(text.values())).encode(), folder / "references.bib")


def main_file(tables: Tables, facts: Facts, made: Iterable[str], drawn: Iterable[str]) -> str:
    """Return main.tex: the text with the tables and figures that it needs, then an appendix of all others."""
    labels = fitted_names(tables, facts)
    main_figures = [*MAIN_FIGURES, *(f"{SURFACE}_{name}" for name in list(labels)[:1])]

    def placed(*, main: bool) -> str:
        tables_in = [rf"\input{{tables/{name}}}" for name in made if (name in MAIN_TABLES) == main]
        figures_in = [figure(name, caption(name, tables, facts)) for name in drawn if (name in main_figures) == main]
        return "\n".join([*tables_in, *figures_in])

    parts = {
        "title": latex(paper_text.title(tables, facts)),
        "abstract": latex(paper_text.abstract(tables, facts)),
        "body": placed(main=True),
        "appendix": placed(main=False),
    }
    text = (TEMPLATES / "paper.tex").read_text(encoding="utf-8")
    return re.sub(r"<<(\w+)>>", lambda found: parts[found[1]], text)


# Figures --------------------------------------------------------------------------------------------------------------


def drawn_figures(tables: Tables, figures: Mapping[str, Drawing], facts: Facts) -> dict[str, Drawing]:
    """Return the figures that show something: not those of what a gate stopped."""
    labels = fitted_names(tables, facts)

    def shows(name: str) -> bool:
        if kind_of(name) == SURFACE:
            return response_of(name) in labels
        rows = tables.get(FIGURES[name].tables[0])
        return bool(labels) if rows is None else len(rows) > 0

    return {name: drawing for name, drawing in figures.items() if shows(name)}


def caption(name: str, tables: Tables, facts: Facts) -> str:
    """Return a figure's caption."""
    label = names(tables, facts).get(response_of(name), "")
    text = report.words(kind_of(name), label, tables, facts)[0]
    return re.sub(r" [^.]* in the explorer\.", "", text)  # which only the report has


# Tables ---------------------------------------------------------------------------------------------------------------


def paper_tables(tables: Tables, facts: Facts) -> Iterator[tuple[str, Table]]:
    """Yield name and content of each table that a paper is likely to print."""
    labels, confidence = fitted_names(tables, facts), facts["config"]["analysis"]["confidence"]
    yield "factors", report_tables.factors_table(facts["factors"], facts["config"]["baseline"]["settings"])
    each = "models" if are_found(tables["metrics"]) else "seeds"
    means = f"Every setting: mean over {each}, below it the standard deviation."
    several = tables["metrics"]["dataset"].nunique() > 1
    points = runs.settings_table(tables, facts) | {"caption": means}
    yield "points", points if several else without(points, ["Data set"])
    if not labels:
        return
    effects = coefficients_section.tables_of(tables, labels, facts)
    changes = (
        f"Effects, with {percent(confidence)} intervals: the most significant change between two levels at any setting "
        "of the others, and the change over the whole range with the others mid-range."
    )
    yield "effects", without(effects["table"], ["Slope mid-range", "p"]) | {"caption": changes}
    yield "fits", effects["fits"] | {"caption": "The fits. Pure error is the spread of seeds within a setting."}
    for response, coded, natural in zip(labels, effects["coded"], effects["natural"], strict=True):
        yield f"coefficients_{response}", coefficients(coded)
        yield f"coefficients_{response}_natural", coefficients(natural)
    if is_confirmed(tables):
        yield "confirmation", confirmation.confirmation_table(tables, labels, facts)
    if advised := advice(tables, labels, list(facts["factors"])):
        yield "settings", ranking_table(advised, confidence)
    yield "slopes", slopes.slopes_of(tables, labels, confidence)
    for response in optimum.responses_of(tables, labels):
        for number, point in enumerate(rows_of(tables["optima"], response=response), 1):
            at = point.get("at")
            found = optimum.tables_of(tables, response, labels[response], confidence, at)
            yield from [(f"optimum_{response}{f'_{number}' if at else ''}", table) for table in found[:1]]


def without(found: Table, titles: Sequence[str]) -> Table:
    """Return a table without the columns of some titles."""
    kept = [number for number, column in enumerate(found["columns"]) if column["title"] not in titles]
    return found | {
        "columns": [found["columns"][number] for number in kept],
        "rows": [[row[number] for number in kept] for row in found["rows"]],
    }


def coefficients(found: Table) -> Table:
    """Return a table of coefficients with a caption that stands by itself."""
    return found | {"caption": f"Coefficients: {found['caption']}. First-order terms are judged with their factor."}


def markdown_table(found: Table) -> str:
    """Return a table in Markdown, its caption above it."""
    titles = [column["title"] for column in found["columns"]]
    rules = ["--:" if column["kind"] == "number" else "---" for column in found["columns"]]
    rows = [titles, rules, *([printed(cell).replace("|", r"\|") for cell in row] for row in found["rows"])]
    return "\n".join([f"**{found['caption']}**", "", *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def printed(cell: Row) -> str:
    """Return a cell's text, its note in parentheses behind it."""
    text, note = str(cell["text"]), str(cell["note"] or "")
    return f"{text} ({note})" if text and note else text or note


# Citations ------------------------------------------------------------------------------------------------------------


def marked(text: str, plain: Callable[[str], str], mark: Callable[[list[str]], str]) -> str:
    """Return text with its marks and what stands between them printed each in its way."""
    parts = MARK.split(text)
    return "".join(mark(re.findall(r"@([\w:-]+)", part)) if number % 2 else plain(part) for number, part in
                   enumerate(parts))  # fmt: skip


def in_latex(keys: list[str]) -> str:
    """Print citations, or a reference to a table or figure, in LaTeX."""
    kind, _, name = keys[0].partition(":")
    if name:
        return rf"{'Table' if kind == 'tab' else 'Figure'}~\ref{{{kind}:{label_of(name)}}}"
    return rf" \citep{{{','.join(keys)}}}"


def in_markdown(keys: list[str]) -> str:
    """Print citations, or a reference to a table or figure, in Markdown."""
    kind, _, name = keys[0].partition(":")
    if name:
        return f"[{name}]({f'tables/{name}.md' if kind == 'tab' else f'figures/{name}.svg'})"
    return f" [{'; '.join(f'@{key}' for key in keys)}]"


def cited_keys(texts: Iterable[Iterable[str]]) -> set[str]:
    """Return the keys that paragraphs of texts cite."""
    return {key[1:] for paragraphs in texts for text in paragraphs for key in re.findall(CITED, text)}


def references(tables: Tables, facts: Facts, keys: set[str]) -> str:
    """Return the BibTeX entry of the study, made from its settings, and those of what it cites."""
    metrics, name = tables["metrics"], facts["config"]["study"]
    settings = len(metrics[["dataset", "point_id"]].drop_duplicates())
    varied = joined([factor_label(factor) for factor in facts["factors"]])
    noun = "model" if are_found(metrics) else "run"
    seeds = "" if are_found(metrics) else f" at {counted(metrics['seed'].nunique(), 'seed')}"
    engine = ", ".join(sorted(set(metrics["engine"].dropna())))
    what = f"study {name}: {varied} of fine-tuned models on {paper_text.places(metrics)}"
    note = f"{counted(len(metrics), noun)} of {counted(settings, 'setting')}{seeds}"
    own = [
        f"@misc{{finevar_{name},",
        "  key = {finevar},",
        f"  title = {{{{finevar {latex(what)}}}}},",
        f"  note = {{{latex(note + (f'; engine {engine}' if engine else ''))}}},",
        "}",
    ]
    return "\n\n".join(["\n".join(own), *(entry for key, entry in ENTRIES.items() if key in keys)]) + "\n"
