"""The study's report: one HTML file that holds its figures, their program and every table, and opens offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from finevar.figures import calibration as calibration_chart
from finevar.figures import tradeoffs as tradeoffs_chart
from finevar.figures import tuning as tuning_chart
from finevar.figures import variability as variability_chart
from finevar.figures.drawing import Drawing
from finevar.figures.names import SURFACE, kind_of, response_of
from finevar.figures.palette import dark_style
from finevar.jobs.forks import in_forks
from finevar.report import tables as report_tables
from finevar.report.explorer import explorer_data
from finevar.report.parts import Labels, Row, Tables, errors_of
from finevar.report.sections import claims as claims_section
from finevar.report.sections import confirmation as confirmation_section
from finevar.report.sections import failures as failures_section
from finevar.report.sections import found as found_section
from finevar.report.sections import paired as paired_section
from finevar.report.sections import regressions as sections
from finevar.report.sections import robustness as robustness_section
from finevar.report.sections import titled_modules
from finevar.report.summary import cautions, summary
from finevar.study.designs import DESIGNS
from finevar.tables import are_found
from finevar.words import caveats, completeness, wording
from finevar.words import effects as effect_words
from finevar.words.formatting import (
    factor_label,
    joined,
    response_label,
    response_labels,
    sentence_case,
    settings_list,
    together,
)
from finevar.words.numbers import duration, is_missing, level, percent

ANSWERS = {  # by verdict, in the answer's order
    "effect": "What moved",
    "small": "What moved by too little to matter",
    "joint": "Interactions and curvature",
    "undecided": "What is undecided",
    "negligible": "What is negligible",
    "none": "What has no verdict",
}
LARGEST_SVG = 100_000  # characters of a figure's still drawing; a larger one becomes an image
TEMPLATES = Path(__file__).parent / "templates"
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)  # fmt: skip
ENVIRONMENT.filters["in_words"] = lambda verdict: effect_words.VERDICTS.get(verdict, verdict)
for template in ("report.html", "macros.html", "explorer.html"):  # compiled by the process of which jobs are forks
    ENVIRONMENT.get_template(template)
# What stands within the template's sections, by the name that it has for them.
PARTS = {
    "confirmation": confirmation_section.section,
    "failures": failures_section.section,
    "paired": paired_section.section,
    "claims": claims_section.section,
    "robustness": robustness_section.section,
}

Facts = Mapping[str, Any]


def render_page(
    tables: Tables, figures: Mapping[str, Drawing], facts: Facts, program: str, *, processes: int = 1
) -> str:
    """Return the report as one HTML page that loads nothing from elsewhere.

    tables: metrics, those of tables.page_tables, and baselines, with one row per evaluation data set.
    figures: by name, see figures.names.
    facts: config (checked, defaults filled in), factors, datasets (what the preparation of each data set found), and
    interim, whether the study is still under way, and the folder that the page is for.
    program: JavaScript that draws the figures.
    processes: that make the page's parts.
    """
    labels, analysis, factors = fitted_names(tables, facts), facts["config"]["analysis"], list(facts["factors"])
    confidence, model = analysis["confidence"], analysis["model"]
    found = are_found(tables["metrics"])
    parts = {
        "matching": partial(sections.baselines, tables, labels, factors, confidence),
        "figures": lambda: {name: figure(name, drawing, tables, facts) for name, drawing in figures.items()},
        "answer": partial(answer, tables, facts),
        "explorer": partial(explorer_data, tables, labels, facts),
        "effects": partial(effects, tables, facts),
        "surfaces": partial(surfaces, tables, figures, facts),
        "interplay": partial(sections.interplay, tables, labels, confidence),
        "slopes": partial(sections.slopes, tables, labels, confidence),
        "optimum": partial(sections.optimum, tables, labels, confidence),
        "checks": partial(sections.checks, tables, labels, facts["factors"], model, confidence),
        "sensitivity": partial(sections.sensitivity, tables, labels, confidence),
        "points": partial(points, tables, facts),
        "provenance": partial(provenance, tables, facts),
    }
    modules, known = titled_modules(), (tables, labels, factors, confidence)
    sections_of = PARTS | {name: module.section for name, module in modules.items()}
    parts |= {name: partial(section, *known) for name, section in sections_of.items()}
    context = dict(zip(parts, in_forks([*parts.values()], processes), strict=True)) | {
        "study": facts["config"]["study"],
        "interim": facts["interim"],
        "found": found_section.page(tables, names(tables, facts), facts) if found else None,
        "design": None if found else design(tables, facts),
        "baseline": None if found else baseline(tables, facts),
        "confidence": percent(confidence),
        "population": effect_words.population_text(tables["effects"]),
        "error_rate": percent(1 - confidence),
        "program": program,
        "dark": dark_style(".chart"),
    }
    context["own"] = {name: context.pop(name) for name in modules}
    context["titles"] = {name: module.TITLE for name, module in modules.items()}
    return ENVIRONMENT.get_template("report.html").render(context)


def answer(tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return headline, verdict table and the sentences behind it, grouped by verdict."""
    labels, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    effect_rows, fitted = tables["effects"], fitted_names(tables, facts)
    said: dict[str, list[str]] = {"none": gate_sentences(tables["fits"], labels)}
    for row in effect_rows.to_dict("records"):
        kind = "none" if is_missing(row["verdict"]) else row["verdict"]
        said.setdefault(kind, []).append(effect_words.effect_sentence(row, labels[row["response"]]))
    where = joined(sorted(tables["metrics"]["dataset"].unique()))
    bent = second_order(tables, ["two_way", "quadratic"])
    said["joint"] = [effect_words.joint_sentence(row, labels[row["response"]]) for row in bent]
    return {
        "cautions": cautions(tables, fitted, list(facts["factors"]), confidence),
        "summary": summary(tables, fitted, list(facts["factors"]), confidence),
        "headline": effect_words.headline(effect_rows, tables["fits"], labels),
        "together": effect_words.interactions_sentence(second_order(tables, ["two_way"]), labels),
        "interplay": sections.interplay_answer(tables, fitted, confidence),
        "matrix": report_tables.verdict_matrix(effect_rows, labels),
        "intervals": intervals(tables, confidence),
        "groups": [
            {"verdict": kind, "title": title, "sentences": said[kind]}
            for kind, title in ANSWERS.items()
            if said.get(kind)
        ],
        "scope": f"Evaluated on {where}. {sentence_case(wording.runs_sentence(tables['metrics']))}",
    }


def second_order(tables: Tables, groups: Sequence[str]) -> list[Row]:
    """Return the coefficients of these groups with an effect, absolute and in coded units."""
    rows = tables["coefficients"].query("framework == 'absolute' and units == 'coded' and verdict == 'effect'")
    return rows[rows["group"].isin(groups)].to_dict("records")


def intervals(tables: Tables, confidence: float) -> str:
    """Say what the intervals of effects hold for."""
    population = effect_words.population_sentence(tables["effects"], tables["metrics"]["seed"].nunique())
    return f"{effect_words.simultaneous_sentence(confidence)} {population}".strip()


def names(tables: Tables, facts: Facts) -> dict[str, str]:
    """Return the responses' names in words."""
    known = [*facts["config"]["analysis"]["responses"], *tables["fits"]["response"]]
    return response_labels(tables["metrics"], dict.fromkeys(known))


def fitted_names(tables: Tables, facts: Facts) -> dict[str, str]:
    """Return the names in words of the responses that no gate stopped."""
    fits = tables["fits"]
    fitted = set(fits.loc[(fits["framework"] == "absolute") & fits["gate"].isna(), "response"])
    return {response: label for response, label in names(tables, facts).items() if response in fitted}


def gates(fits: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row for each response that a gate stopped."""
    return fits[fits["gate"].notna()].drop_duplicates("response").to_dict("records")


def gate_sentences(fits: pd.DataFrame, labels: Labels) -> list[str]:
    """Return a sentence on each gate; responses that the same one stopped together."""
    alike = together(((row["framework"], row["gate"]), labels[row["response"]]) for row in gates(fits))
    return [
        wording.gate_sentence({"framework": framework, "gate": gate}, joined(names))
        for (framework, gate), names in alike.items()
    ]


def design(tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return what was planned and what became of it."""
    metrics, config = tables["metrics"], facts["config"]
    fixed = {name: value for name, value in config["training"].items() if name not in facts["factors"]}
    kind = DESIGNS[config["sweep"]["design"]["kind"]]
    return {
        "kind": f"{kind.name}: {kind.meaning}",
        "runs": wording.runs_sentence(metrics),
        "seeds": joined([str(seed) for seed in sorted(metrics["seed"].unique())]),
        "factors": report_tables.factors_table(facts["factors"], config["baseline"]["settings"]),
        "fixed": settings_list(fixed),
        "lost": report_tables.lost_runs(metrics),
        "next_start": completeness.next_start_sentences(metrics) if facts["interim"] else [],
        "losses": completeness.completeness_sentences(metrics, facts["factors"], config["analysis"]["model"]),
    }


def baseline(tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return what the baseline is and what it scores, frozen and at its own levels within the study."""
    config, labels, metrics = facts["config"], names(tables, facts), tables["metrics"]
    spec = config["baseline"]
    if "dataset" in spec:
        what = f"{config['model']}, fine-tuned on {spec['dataset']} with seed {spec['seed']}"
    else:
        what = f"{config['model']} as its source provides it"
    ok = metrics[metrics["status"] == "ok"]
    again = ok[ok["is_baseline_point"].fillna(False).astype(bool)]
    return {
        "what": what,
        "settings": settings_list(spec["settings"]),
        "differences": "" if again.empty else differences(spec["settings"], config["training"], facts["factors"]),
        "table": report_tables.baselines_table(tables["baselines"], again, labels),
        "sentences": [
            wording.baseline_sentence(dataset, frozen, again.loc[again["dataset"] == dataset, first], labels[first])
            for first in list(labels)[:1]
            for dataset, frozen in zip(tables["baselines"]["dataset"], tables["baselines"][first], strict=True)
            if dataset in set(metrics["dataset"])
        ],
    }


def differences(own: Mapping[str, Any], study: Mapping[str, Any], factors: Mapping[str, Any]) -> str:
    """Say in which fixed settings the study's runs differ from the baseline's own."""
    pairs = {name: (own.get(name), study.get(name)) for name in study if name not in factors}
    return ", ".join(
        f"{factor_label(name)} {level(there)} instead of {level(here)}"
        for name, (here, there) in pairs.items()
        if here != there
    )


def effects(tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return effects, coefficients of both frameworks, fits, gates and smallest effects."""
    labels, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    fits, coefficients = tables["fits"], tables["coefficients"]
    absolute = fits[(fits["framework"] == "absolute") & fits["gate"].isna()]
    new, by_seed = errors_of(tables)
    fitted = fitted_names(tables, facts)
    return {
        "finding": effect_words.terms_sentence(coefficients),
        "largest": effect_words.largest_sentence(tables["effects"], fitted),
        "table": report_tables.effects_table(tables["effects"], labels, confidence),
        **{
            units: [report_tables.coefficients_table(coefficients, name, labels[name], units) for name in fitted]
            for units in ("coded", "natural")
        },
        "fits": report_tables.fits_table(absolute, labels),
        "identity": wording.identity_sentence(fits) if fitted else "",
        "smallest": effect_words.smallest_sentence(absolute, labels, facts["config"]["analysis"]["smallest_effect"]),
        "intervals": intervals(tables, confidence),
        "gates": gate_sentences(fits, labels),
        "families": caveats.families_sentence(coefficients, tables["effects"]),
        "covariances": caveats.covariance_sentences(fits, labels, new_sentences=new, by_seed=by_seed),
    }


def figure(name: str, drawing: Drawing, tables: Tables, facts: Facts) -> dict[str, str]:
    """Return a figure's specification as script-safe JSON, a still drawing to begin with, and words for both."""
    response = response_of(name)
    label = names(tables, facts).get(response, response_label(response))
    caption, alternative = words(kind_of(name), label, tables, facts)
    image = base64.b64encode(drawing.png(0.8)).decode() if len(drawing.svg) > LARGEST_SVG else ""
    return {
        "name": name,
        "spec": json.dumps(drawing.spec, separators=(",", ":")).replace("<", "\\u003c"),
        "still": f'<img alt="" src="data:image/png;base64,{image}">' if image else alone(drawing.svg, name),
        "caption": caption,
        "alternative": f"{drawing.title}. {alternative}" if drawing.title else alternative,
    }


def alone(svg: str, name: str) -> str:
    """Return a drawing whose gradients have ids of their own within a page."""
    return svg.replace("gradient_", f"{name}_gradient_")


def words(kind: str, label: str, tables: Tables, facts: Facts) -> tuple[str, str]:
    """Return a figure's caption and text alternative."""
    confidence, runs = facts["config"]["analysis"]["confidence"], int((tables["metrics"]["status"] == "ok").sum())
    charts = {
        "calibration": (calibration_chart, ["reliability"], [runs]),
        "variability": (variability_chart, ["variability"], [runs]),
        "tradeoffs": (tradeoffs_chart, ["pareto", "pareto_points"], []),
        "tuning_curves": (tuning_chart, ["tuning_curves"], []),
    }
    if kind not in charts:
        return wording.figure_words(kind, label, confidence, list(facts["factors"]), runs)
    chart, used, counted = charts[kind]
    return chart.caption(*(tables[name] for name in used), *counted, confidence), chart.ALTERNATIVE


def surfaces(tables: Tables, figures: Mapping[str, Any], facts: Facts) -> list[dict[str, Any]]:
    """Return for each surface figure a sentence: where its response is predicted to be best, or why it is not drawn."""
    labels, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    stopped = {row["response"]: row for row in gates(tables["fits"]) if row["framework"] == "absolute"}
    found = []
    for name in (name for name in figures if kind_of(name) == SURFACE):
        response = response_of(name)
        label, drawn = labels.get(response, response_label(response)), response not in stopped
        if drawn:
            sentence = wording.extreme_sentence(tables["surface"], response, label, confidence)
        else:
            sentence = wording.gate_sentence(stopped[response], label)
        found.append({"name": name, "title": sentence_case(label), "sentence": sentence, "drawn": drawn})
    return found


def points(tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return the observed best and worst points, all points, and all runs."""
    labels, metrics = names(tables, facts), tables["metrics"]
    everything = report_tables.point_means(metrics, list(labels), list(facts["factors"]))
    several = metrics["dataset"].nunique() > 1
    known = labels if are_found(metrics) else report_tables.with_calibration(labels)
    shown = {"labels": known, "factors": list(facts["factors"])}
    return {
        "extremes": report_tables.extreme_points(everything, labels, **shown, several=several),
        "all": report_tables.all_points(everything, **shown),
        "runs": report_tables.all_runs(metrics, **shown, several=several),
        "count": len(everything),
    }


def provenance(tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return what the results were made with and from."""
    metrics, config = tables["metrics"], facts["config"]
    seconds = float(metrics["train_seconds"].sum() + metrics["eval_seconds"].sum())
    return {
        "seconds": duration(seconds),
        "software": report_tables.software_table(metrics),
        "datasets": [report_tables.dataset_facts(name, found) for name, found in facts["datasets"].items()],
        "sources": report_tables.sources_table(config.get("sources", {})),
        "config": yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=100),
    }


def plain(value: Any) -> Any:
    """Return nested mappings and sequences as the dicts and lists that YAML prints without tags."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value
