"""What a paper takes from a study: tables and figures in its formats, a methods paragraph, and what to cite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finevar.figures.drawing import Drawing
from finevar.files import write_bytes
from finevar.reasons import FAILED, MISSING
from finevar.report import page as report
from finevar.report import tables as report_tables
from finevar.report.parts import Row, Table, Tables, errors_of
from finevar.report.recommendation import advice, ranking_table
from finevar.report.sections import regressions as sections
from finevar.report.sections.found import models_compared
from finevar.statistics.verdicts import METHODS
from finevar.study.designs import DESIGNS
from finevar.tables import are_found
from finevar.words.effects import population_sentence, smallest_sentence
from finevar.words.formatting import counted, factor_label, joined, response_label, settings_list
from finevar.words.numbers import level, percent
from finevar.words.recommendation import headline, sure_sentence

Facts = Mapping[str, Any]

LATEX = {  # what LaTeX reads otherwise, and characters that its default fonts lack
    "\\": r"\textbackslash{}",
    **{mark: rf"\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{SUPERSCRIPT TWO}": "$^2$",
    "\N{EM DASH}": "---",
    "\N{EN DASH}": "--",
    "<": r"$<$",
    ">": r"$>$",
}
LATEX_TABLE = r"""\begin{{table}}
  \centering
  \caption{{{caption}}}
  \label{{tab:{label}}}
  \begin{{tabular}}{{{shape}}}
    \toprule
    {titles} \\
    \midrule
    {rows}
    \bottomrule
  \end{{tabular}}
\end{{table}}
"""
REFERENCES = Path(__file__).parent / "templates" / "references.bib"  # of the methods that a study may use
SURFACES = {
    "first_order": "a plane",
    "interactions": "a plane with two-factor interactions",
    "quadratic": "a full quadratic (main effects, two-factor interactions and squares)",
    "cubic": "a full quadratic with the cube of the learning rate",
}


def write_kit(tables: Tables, figures: Mapping[str, Drawing], facts: Facts, folder: Path) -> None:
    """Write tables (LaTeX, Markdown), figures (PDF, SVG), methods (LaTeX, Markdown) and references.bib to a folder."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, found in paper_tables(tables, facts):
        write_bytes(markdown_table(found).encode(), folder / "tables" / f"{name}.md")
        write_bytes(latex_table(found, name).encode(), folder / "tables" / f"{name}.tex")
    for name, drawing in figures.items():
        write_bytes(drawing.pdf(), folder / "figures" / f"{name}.pdf")
        write_bytes(drawing.svg.encode(), folder / "figures" / f"{name}.svg")
    paragraphs = list(methods(tables, facts))
    write_bytes(("# Methods\n\n" + cited("\n\n".join(paragraphs), "[@{}]") + "\n").encode(), folder / "methods.md")
    typeset = [cited(latex(text), r"\cite{{{}}}") for text in paragraphs]
    write_bytes(("\\section*{Methods}\n\n" + "\n\n".join(typeset) + "\n").encode(), folder / "methods.tex")
    write_bytes(references(tables, facts).encode(), folder / "references.bib")


# Tables ---------------------------------------------------------------------------------------------------------------


def paper_tables(tables: Tables, facts: Facts) -> Iterator[tuple[str, Table]]:
    """Yield name and content of each table that a paper is likely to print."""
    labels, confidence = report.fitted_names(tables, facts), facts["config"]["analysis"]["confidence"]
    yield "factors", report_tables.factors_table(facts["factors"], facts["config"]["baseline"]["settings"])
    yield "points", report.points(tables, facts)["all"]
    if not labels:
        return
    effects = report.effects(tables, facts)
    yield "effects", effects["table"]
    yield "fits", effects["fits"]
    for response, coded, natural in zip(labels, effects["coded"], effects["natural"], strict=True):
        yield f"coefficients_{response}", coded
        yield f"coefficients_{response}_natural", natural
    if advised := advice(tables, labels, list(facts["factors"])):
        yield "settings", ranking_table(advised, confidence)
    yield "slopes", sections.slopes(tables, labels, confidence)["table"]
    for response, found in zip(labels, sections.optimum(tables, labels, confidence)["responses"], strict=True):
        yield f"optimum_{response}", found["tables"][0]


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


def latex_table(found: Table, name: str) -> str:
    """Return a table in LaTeX, for booktabs."""
    shape = "".join("r" if column["kind"] == "number" else "l" for column in found["columns"])
    titles = " & ".join(latex(column["title"]) for column in found["columns"])
    rows = [" & ".join(latex(printed(cell)) for cell in row) + r" \\" for row in found["rows"]]
    label = name.replace("_", "-")
    return LATEX_TABLE.format(
        caption=latex(found["caption"]), label=label, shape=shape, titles=titles, rows="\n    ".join(rows)
    )


def latex(text: str) -> str:
    """Return text as LaTeX prints it."""
    return "".join(LATEX.get(mark, mark) for mark in text)


# Methods --------------------------------------------------------------------------------------------------------------


def methods(tables: Tables, facts: Facts) -> Iterator[str]:
    """Yield the paragraphs of a methods section; `@key` stands for a citation."""
    if are_found(tables["metrics"]):
        yield cards_text(tables, facts)
    else:
        yield design_text(tables, facts)
        yield training_text(tables, facts)
    yield analysis_text(tables, facts)
    if text := recommendation_text(tables, facts):
        yield text


def cards_text(tables: Tables, facts: Facts) -> str:
    """Say which published models were compared, what their cards' gates found, and against what."""
    config, metrics = facts["config"], tables["metrics"]
    baseline, gates = config["baseline"], tables["found_gates"]
    found = " ".join(gates.loc[gates["verdict"].isin(["set aside", "stopped", "noted"]), "finding"])
    ranges = joined(
        [
            f"{factor_label(name)} ({level(min(coding.levels))} to {level(max(coding.levels))})"
            for name, coding in facts["factors"].items()
        ]
    )
    return (
        f"We read {counted(int(gates['cards'].max()), 'model card')} and compared {models_compared(metrics)} by "
        f"{ranges}, as the cards state them; nobody assigned these settings, so what goes together need not be an "
        f"effect. {found} The question and its metrics follow @lorenzoni2025variability. Relative figures are taken "
        f"against {baseline['name']}, as published."
    )


def design_text(tables: Tables, facts: Facts) -> str:
    """Say what was varied, how often, and against what."""
    config, metrics = facts["config"], tables["metrics"]
    varied = joined([f"{factor_label(name)} ({', '.join(map(level, coding.levels))})" for name, coding in
                     facts["factors"].items()])  # fmt: skip
    design = DESIGNS[config["sweep"]["design"]["kind"]].name
    points = len(metrics[["dataset", "point_id"]].drop_duplicates())
    spec, states = config["baseline"], metrics["status"].value_counts()
    source = f"fine-tuned on {spec['dataset']}" if "dataset" in spec else "as published"
    how = f"{source} ({settings_list(spec['settings'])})"
    lost = joined([f"{states[name]} {name}" for name in (*FAILED, MISSING) if name in states])
    return (
        f"We varied {varied} in a {design} design of {counted(points, 'point')}, each run at "
        f"{counted(metrics['seed'].nunique(), 'seed')}: {counted(len(metrics), 'run')}"
        f"{f' ({lost})' if lost else ', all of them complete'}. A seed decides data order, dropout and the initial "
        "head, and is the same at every point, so that seeds are blocks. The question and its metrics follow "
        f"@lorenzoni2025variability. Every run starts from one baseline, {config['model']} {how}, and relative "
        "figures are taken against it."
    )


def training_text(tables: Tables, facts: Facts) -> str:
    """Say how a run was trained and evaluated, and on what."""
    metrics, config = tables["metrics"], facts["config"]
    ok = metrics[metrics["status"] == "ok"]
    fixed = settings_list({name: value for name, value in config["training"].items() if name not in facts["factors"]})
    data = joined(
        [
            f"{name} ({facts['datasets'][name]['train']:,} training and {facts['datasets'][name]['eval']:,} evaluation "
            "sentences)"
            for name in config["sweep"]["datasets"]
        ]
    )
    made = joined([f"{what} {', '.join(sorted(set(ok[column].dropna())))}" for what, column in
                   (("Python", "python"), ("PyTorch", "torch"), ("in", "dtype_used"), ("on", "device"))])  # fmt: skip
    return (
        f"Each run fine-tunes DistilBERT @sanh2019distilbert on {data} with AdamW @loshchilov2019decoupled; the same "
        f"in every run: {fixed}. Exact repeats of a sentence, sentences with two labels, and training sentences that "
        f"occur in the evaluation part were dropped beforehand. Runs were made with {made}."
    )


def analysis_text(tables: Tables, facts: Facts) -> str:
    """Say what was fitted and how it was judged, or that nothing could be."""
    if tables["fits"]["gate"].notna().all():
        return f"No regression was fitted and no p-value is given: {tables['fits']['gate'].iloc[0]}"
    analysis, fits = facts["config"]["analysis"], tables["fits"]
    confidence, alpha = percent(analysis["confidence"]), percent(1 - analysis["confidence"])
    responses = joined([response_label(name, tables["metrics"]["f1_average"].unique()) for name in
                        analysis["responses"]])  # fmt: skip
    found = are_found(tables["metrics"])
    scales = {name: "logarithmic" if coding.logarithmic else "linear" for name, coding in facts["factors"].items()}
    codings = joined([f"{factor_label(name)} on a {scale} scale" for name, scale in scales.items()])
    several = tables["metrics"]["dataset"].nunique() > 1
    blocks = "data sets" if found else "seeds and data sets" if several else "seeds"
    fitted = fits[(fits["framework"] == "absolute") & fits["gate"].isna()]
    labels = {name: response_label(name) for name in fitted["response"]}
    return (
        f"To each of {responses} we fitted {SURFACES[analysis['model']]} in coded units @box1951attainment, {codings}, "
        f"with {blocks} as fixed blocks. Standard errors are {errors_text(tables)}; intervals are {confidence} by "
        f"Student's t. {population_sentence(tables['effects'], tables['metrics']['seed'].nunique())} Absolute and "
        "relative coefficients are two readings of one fit. A factor's changes between any two of its levels, at every "
        "setting tried of the others, were judged as one family, the largest against simulated ones. The factor has an "
        f"effect where the p-value of that family, adjusted over all factors and metrics by {METHODS['fdr_bh']} "
        f"@benjamini1995controlling, is below {alpha}; it is negligible where every change lies, by simultaneous "
        "intervals, within the smallest effect of interest; otherwise it is undecided. "
        f"{smallest_sentence(fitted, labels, labels)}"
    )


def recommendation_text(tables: Tables, facts: Facts) -> str:
    """Say which setting is recommended, and by which rule; nothing where no metric was fitted."""
    labels = report.fitted_names(tables, facts)
    advised = advice(tables, labels, list(facts["factors"])) if labels else None
    if not advised or not advised.best:
        return ""
    primary = labels[advised.best["primary"]]
    return (
        f"{headline(advised)} {sure_sentence(advised, facts['config']['analysis']['confidence'])} Candidates were "
        f"settings without failed runs whose mean {primary} was neither significantly below the best nor below it by "
        "more than the smallest effect of interest, that were in no metric significantly worse than the baseline, and "
        "whose means the surfaces predict."
    )


def errors_text(tables: Tables) -> str:
    """Say what standard errors allow for."""
    sentences, by_seed = errors_of(tables)
    if by_seed:
        also = " and by test sentence @cameron2011robust" if sentences else ""
        return f"clustered by seed (CR2, @bell2002bias, @pustejovsky2018small){also}"
    if (tables["fits"]["covariance"] == "CR3").any():
        kind = f"clustered by {'owner' if are_found(tables['metrics']) else 'training trajectory'} (CR3, @bell2002bias)"
    else:
        kind = "robust to unequal noise (HC3, @mackinnon1985heteroskedasticity)"
    return f"{kind}{', the variance between test sentences added @cameron2011robust' if sentences else ''}"


def cited(text: str, style: str) -> str:
    """Return text with its citations, `@key`, in a style."""
    return re.sub(r"@(\w+)", lambda found: style.format(found[1]), text)


def references(tables: Tables, facts: Facts) -> str:
    """Return the BibTeX entry of the study, made from its settings, and those of the methods that it cites."""
    metrics, name = tables["metrics"], facts["config"]["study"]
    points = len(metrics[["dataset", "point_id"]].drop_duplicates())
    varied = joined([factor_label(factor) for factor in facts["factors"]])
    where = joined(sorted(set(metrics["dataset"])))
    noun = "models" if are_found(metrics) else "runs"
    engine = ", ".join(sorted(set(metrics["engine"].dropna())))
    seeds = "" if are_found(metrics) else f" at {metrics['seed'].nunique()} seeds; engine {engine}"
    own = [
        f"@misc{{finevar_{name},",
        f"  title = {{finevar study {name}: {varied} of fine-tuned {{DistilBERT}} on {where}}},",
        f"  note = {{{len(metrics)} {noun} of {points} points{seeds}}},",
        "}\n",
    ]
    used = set(re.findall(r"@(\w+)", " ".join(methods(tables, facts))))
    known = REFERENCES.read_text(encoding="utf-8").split("\n\n")
    cited_entries = [entry for entry in known if re.match(r"@\w+\{(\w+),", entry)[1] in used]
    return "\n".join(["\n".join(own), "\n\n".join(cited_entries)])
