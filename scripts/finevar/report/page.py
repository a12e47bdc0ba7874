"""The study's report: one HTML file that holds its figures, their program and every table, and opens offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
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
from finevar.report import tables as report_tables
from finevar.report.explorer import explorer_data
from finevar.report.sections import claims as claims_section
from finevar.report.sections import failures as failures_section
from finevar.report.sections import found as found_section
from finevar.report.sections import paired as paired_section
from finevar.report.sections import regressions as sections
from finevar.report.sections import robustness as robustness_section
from finevar.report.sections import titled_modules
from finevar.report.summary import summary
from finevar.study.designs import DESIGNS
from finevar.tables import are_found
from finevar.words import caveats, completeness, formatting, wording

LARGEST_SVG = 100_000  # characters of a figure's drawing for pages without scripts; a larger one becomes an image
TEMPLATES = Path(__file__).parent / "templates"
# What stands within the template's sections, by the name that it has for them.
PARTS = {
    "failures": failures_section.section,
    "paired": paired_section.section,
    "claims": claims_section.section,
    "robustness": robustness_section.section,
}

Tables = Mapping[str, pd.DataFrame]


def render_page(tables: Tables, figures: Mapping[str, Drawing], facts: Mapping[str, Any], program: str) -> str:
    """Return the report as one HTML page that loads nothing from elsewhere.

    tables: metrics, those of tables.page_tables, and baselines, with one row per evaluation data set.
    figures: by name, see figures.names.
    facts: config (checked, defaults filled in), factors, datasets (what the preparation of each data set found), and
    interim, whether the study is still under way.
    program: JavaScript that draws the figures.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    labels, analysis = fitted_names(tables, facts), facts["config"]["analysis"]
    confidence, model = analysis["confidence"], analysis["model"]
    found = are_found(tables["metrics"])
    context = {
        "study": facts["config"]["study"],
        "interim": facts["interim"],
        "answer": answer(tables, facts),
        "explorer": explorer_data(tables, labels, facts),
        "found": found_section.page(tables, names(tables, facts), facts) if found else None,
        "design": None if found else design(tables, facts),
        "baseline": None if found else baseline(tables, facts),
        "effects": effects(tables, facts),
        "figures": {name: figure(name, drawing, tables, facts) for name, drawing in figures.items()},
        "surfaces": surfaces(tables, figures, facts),
        "interplay": sections.interplay(tables, labels, confidence),
        "slopes": sections.slopes(tables, labels, confidence),
        "optimum": sections.optimum(tables, labels, confidence),
        "matching": sections.baselines(tables, labels, list(facts["factors"]), confidence),
        "checks": sections.checks(tables, labels, list(facts["factors"]), model, confidence),
        "sensitivity": sections.sensitivity(tables, labels, confidence),
        "points": points(tables, facts),
        "provenance": provenance(tables, facts),
        "confidence": formatting.percent(confidence),
        "error_rate": formatting.percent(1 - confidence),
        "program": program,
    }
    modules, known = titled_modules(), (tables, labels, list(facts["factors"]), confidence)
    context |= {name: section(*known) for name, section in PARTS.items()}
    context["titles"] = {name: module.TITLE for name, module in modules.items()}
    context["own"] = {name: module.section(*known) for name, module in modules.items()}
    return environment.get_template("report.html").render(context)


def answer(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return headline, verdict table and the sentences behind it, grouped by verdict."""
    labels, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    effect_rows, fits = tables["effects"], tables["fits"]
    titles = {"effect": "What moved", "undecided": "What is undecided", "negligible": "What is negligible"}
    interactions = second_order(tables, ["two_way"])
    groups = []
    for verdict, title in titles.items():
        told = [
            wording.effect_sentence(row, labels[row["response"]], confidence, partners(row, interactions))
            for row in effect_rows[effect_rows["verdict"] == verdict].to_dict("records")
        ]
        groups.append({"verdict": verdict, "title": title, "sentences": told})
    open_rows = effect_rows[effect_rows["verdict"].isna()].to_dict("records")
    stopped = gate_sentences(fits, labels)
    stopped += [wording.effect_sentence(row, labels[row["response"]], confidence) for row in open_rows]
    groups.insert(
        1, {"verdict": "joint", "title": "Interactions and curvature", "sentences": joint(tables, labels, confidence)}
    )
    groups.append({"verdict": "none", "title": "What has no verdict", "sentences": stopped})
    return {
        "summary": summary(tables, fitted_names(tables, facts), confidence),
        "headline": wording.headline(effect_rows, fits, labels),
        "together": wording.together_sentence(interactions, labels),
        "interplay": sections.interplay_answer(tables, fitted_names(tables, facts), confidence),
        "matrix": report_tables.verdict_matrix(effect_rows, labels, confidence),
        "groups": [group for group in groups if group["sentences"]],
        "scope": scope(tables["metrics"]),
    }


def scope(metrics: pd.DataFrame) -> str:
    """Say what the answer rests on; of models that were found, found_section does."""
    if are_found(metrics):
        return ""
    where = formatting.joined(sorted(metrics["dataset"].unique()))
    return f"Evaluated on {where}. {formatting.sentence_case(wording.runs_sentence(metrics))}"


def joint(tables: Tables, labels: Mapping[str, str], confidence: float) -> list[str]:
    """Return sentences on the interactions and squares with an effect."""
    rows = second_order(tables, ["two_way", "quadratic"])
    return [wording.joint_sentence(row, labels[row["response"]], confidence) for row in rows]


def second_order(tables: Tables, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return the coefficients of these groups with an effect, absolute and in coded units."""
    rows = tables["coefficients"].query("framework == 'absolute' and units == 'coded' and verdict == 'effect'")
    return rows[rows["group"].isin(groups)].to_dict("records")


def partners(row: Mapping[str, Any], interactions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the factors that act together with a row's factor on its response."""
    pairs = [other["term"].split(":") for other in interactions if other["response"] == row["response"]]
    return [name for pair in pairs if row["factor"] in pair for name in pair if name != row["factor"]]


def names(tables: Tables, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the responses' names in words."""
    known = [*facts["config"]["analysis"]["responses"], *tables["fits"]["response"]]
    return formatting.response_labels(tables["metrics"], dict.fromkeys(known))


def fitted_names(tables: Tables, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the names in words of the responses that no gate stopped."""
    fits = tables["fits"]
    fitted = set(fits.loc[(fits["framework"] == "absolute") & fits["gate"].isna(), "response"])
    return {response: label for response, label in names(tables, facts).items() if response in fitted}


def gates(fits: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row for each response that a gate stopped."""
    return fits[fits["gate"].notna()].drop_duplicates("response").to_dict("records")


def gate_sentences(fits: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """Return a sentence on each gate; responses that the same one stopped together."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row in gates(fits):
        rows.setdefault((row["framework"], row["gate"]), []).append(labels[row["response"]])
    return [
        wording.gate_sentence({"framework": framework, "gate": gate}, formatting.joined(names))
        for (framework, gate), names in rows.items()
    ]


def design(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was planned and what became of it."""
    metrics, config = tables["metrics"], facts["config"]
    fixed = {name: value for name, value in config["training"].items() if name not in facts["factors"]}
    spread = {formatting.factor_label(name): formatting.level(value) for name, value in fixed.items()}
    kind = DESIGNS[config["sweep"]["design"]["kind"]]
    return {
        "kind": f"{kind.name}: {kind.meaning}",
        "runs": wording.runs_sentence(metrics),
        "seeds": formatting.joined([str(seed) for seed in sorted(metrics["seed"].unique())]),
        "factors": report_tables.factors_table(facts["factors"], config["baseline"]["settings"]),
        "fixed": ", ".join(f"{name} {value}" for name, value in spread.items()),
        "lost": report_tables.lost_runs(metrics),
        "next_start": completeness.next_start_sentences(metrics) if facts["interim"] else [],
        "losses": completeness.completeness_sentences(metrics, facts["factors"], config["analysis"]["model"]),
    }


def baseline(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the baseline is and what it scores, frozen and at its own levels within the study."""
    config, labels, metrics = facts["config"], names(tables, facts), tables["metrics"]
    spec = config["baseline"]
    if "dataset" in spec:
        what = f"{config['model']}, fine-tuned on {spec['dataset']} with seed {spec['seed']}"
    else:
        what = f"{config['model']} as its source provides it"
    settings = {formatting.factor_label(name): formatting.level(value) for name, value in spec["settings"].items()}
    ok = metrics[metrics["status"] == "ok"]
    again = ok[ok["is_baseline_point"].fillna(False).astype(bool)]
    return {
        "what": what,
        "settings": ", ".join(f"{name} {value}" for name, value in settings.items()),
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
        f"{formatting.factor_label(name)} {formatting.level(there)} instead of {formatting.level(here)}"
        for name, (here, there) in pairs.items()
        if here != there
    )


def effects(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return effects, coefficients of both frameworks, fits, gates and the noise floor."""
    labels, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    fits, coefficients = tables["fits"], tables["coefficients"]
    absolute = fits[(fits["framework"] == "absolute") & fits["gate"].isna()]
    fitted = fitted_names(tables, facts)
    return {
        "finding": wording.terms_sentence(coefficients),
        "largest": wording.largest_sentence(tables["effects"], fitted, confidence),
        "table": report_tables.effects_table(tables["effects"], labels, confidence),
        "coded": [
            report_tables.coefficients_table(coefficients, response, labels[response], "coded") for response in fitted
        ],
        "natural": [
            report_tables.coefficients_table(coefficients, response, labels[response], "natural") for response in fitted
        ],
        "fits": report_tables.fits_table(absolute, labels),
        "identity": wording.identity_sentence(fits) if fitted else "",
        "floors": [wording.floor_sentence(row, labels[row["response"]]) for row in absolute.to_dict("records")],
        "gates": gate_sentences(fits, labels),
        "families": caveats.families_sentence(coefficients, tables["effects"]),
        "covariances": caveats.covariance_sentences(fits, labels),
    }


def figure(name: str, drawing: Drawing, tables: Tables, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return a figure's specification as script-safe JSON, a drawing for pages without scripts, and words for both."""
    response = response_of(name)
    label = names(tables, facts).get(response, formatting.response_label(response))
    return {
        "name": name,
        "spec": json.dumps(drawing.spec, separators=(",", ":")).replace("<", "\\u003c"),
        "still": drawing.svg if len(drawing.svg) <= LARGEST_SVG else picture(drawing),
        **words(kind_of(name), label, tables, facts),
    }


def picture(drawing: Drawing) -> str:
    """Return a figure as an image that stands in the page itself."""
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(drawing.png(0.8)).decode()}">'


def words(kind: str, label: str, tables: Tables, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return a figure's caption and text alternative."""
    confidence, runs = facts["config"]["analysis"]["confidence"], int((tables["metrics"]["status"] == "ok").sum())
    captions = {
        "calibration": (calibration_chart, lambda told: told.caption(tables["reliability"], runs, confidence)),
        "variability": (variability_chart, lambda told: told.caption(tables["variability"], runs, confidence)),
        "tradeoffs": (
            tradeoffs_chart,
            lambda told: told.caption(tables["pareto"], tables["pareto_points"], confidence),
        ),
        "tuning_curves": (tuning_chart, lambda told: told.caption(tables["tuning_curves"], confidence)),
    }
    if kind in captions:
        chart, tell = captions[kind]
        return {"caption": tell(chart), "alternative": chart.ALTERNATIVE}
    return {
        "caption": wording.figure_caption(kind, label, confidence, list(facts["factors"]), runs),
        "alternative": wording.figure_alternative(kind, label),
    }


def surfaces(tables: Tables, figures: Mapping[str, Any], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each surface figure a sentence: where its response is predicted to be best, or why it is not drawn."""
    labels, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    stopped = {row["response"]: row for row in gates(tables["fits"]) if row["framework"] == "absolute"}
    found = []
    for name in figures:
        if kind_of(name) != SURFACE:
            continue
        response = response_of(name)
        label = labels.get(response, formatting.response_label(response))
        if response in stopped:
            sentence = wording.gate_sentence(stopped[response], label)
        else:
            sentence = wording.extreme_sentence(tables["surface"], response, label, confidence)
        drawn = response not in stopped
        found.append({"name": name, "title": formatting.sentence_case(label), "sentence": sentence, "drawn": drawn})
    return found


def points(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the observed best and worst points, all points, and all runs."""
    labels, metrics = names(tables, facts), tables["metrics"]
    everything = report_tables.point_means(metrics, list(labels), list(facts["factors"]))
    several = metrics["dataset"].nunique() > 1
    known = labels if are_found(metrics) else report_tables.with_calibration(labels)
    shown = {"labels": known, "factors": list(facts["factors"]), "several": several}
    return {
        "extremes": report_tables.extreme_points(everything, labels, **shown),
        "all": report_tables.all_points(everything, **shown),
        "runs": report_tables.all_runs(metrics, **shown),
        "count": len(everything),
    }


def provenance(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the results were made with and from."""
    metrics, config = tables["metrics"], facts["config"]
    seconds = float(metrics["train_seconds"].sum() + metrics["eval_seconds"].sum())
    return {
        "seconds": formatting.duration(seconds),
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
