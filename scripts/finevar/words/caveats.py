"""Sentences on what the findings rest on: errors, the model ladder, checks, and other specifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from finevar.study.coding import levels_needed, terms
from finevar.words.formatting import counted, factor_label, joined, plain_reason, sentence_case, term_label, together
from finevar.words.numbers import Row, f_text, is_missing, number, p_equals, percent, significant

COVARIANCES = {
    "HC3": "Standard errors allow for noise that differs between settings (HC3)",
    "CR2": "Standard errors are clustered by seed (CR2)",
    "CR3": "Standard errors allow for errors that are correlated within a cluster (CR3)",
}
RUNGS = {
    "first_order": "first order",
    "interactions": "interactions",
    "quadratic": "squares",
    "cubic": "cubes",
}
MODELS = {
    "first_order": "first-order",
    "interactions": "first-order and interaction",
    "quadratic": "quadratic",
    "cubic": "cubic",
}
SPECIFICATIONS = {
    "default": "these seeds and sentences",
    "population": "as reported, for new seeds and sentences",
    "classical": "classical errors",
    "clustered": "errors clustered by trajectory",
    "mixed_model": "mixed model",
    "permutation": "permutation",
    "transformed": "transformed scale",
    "without_suspects": "without suspect runs",
    "without_one_cell": "without one setting",
    "without_one_seed": "without one seed",
    "without_one_dataset": "without one data set",
}

RESIDUAL_CHECKS = {  # by check: what to say where nothing is found, where it is not tested, and where it is found
    "breusch_pagan": (
        "Noise is not shown to differ between settings for {labels}.",
        "Whether noise differs between settings for {labels}",
        "The noise of {label} differs between settings: {tested}. The reported errors stay valid; classical p-values, "
        "which suppose equal noise, are withheld.",
    ),
    "reset": (
        "Powers of the fitted values are not shown to explain more of {labels}.",
        "Whether powers of the fitted values explain more of {labels}",
        "Powers of the fitted {label} explain more ({tested}): the surface's shape is incomplete; the transformed "
        "scale under Sensitivity shows which terms depend on it.",
    ),
    "normality": (
        "Residuals are not shown to depart from normal for {labels}.",
        "Normality of the residuals of {labels}",
        "The residuals of {label} are not normal ({tested}): intervals are approximate; the permutation p-values under "
        "Sensitivity do not suppose it.",
    ),
}


def grouped_by_reason(rows: Iterable[Row], labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the responses that share a reason, joined, each with that reason."""
    alike = together((plain_reason(row), labels[row["response"]]) for row in rows)
    return [(joined(names, "or"), reason) for reason, names in alike.items()]


def covariance_sentences(fits: pd.DataFrame, labels: Mapping[str, str], *, new_sentences: bool) -> list[str]:
    """Say which covariance the standard errors come from, and why; responses with the same one together.

    new_sentences: whether they hold for these, too.
    """
    rows = fits[(fits["framework"] == "absolute") & fits["covariance"].notna()]
    found = rows.groupby(["covariance", "covariance_reason"], sort=False, dropna=False)
    sentences = []
    for (kind, reason), same in found:
        opening = COVARIANCES.get(kind, f"Standard errors are {kind}")
        clusters = same["clusters"].dropna()
        size = f", {counted(int(clusters.iloc[0]), 'cluster')}" if len(clusters) else ""
        which = "" if len(found) == 1 else f" for {joined([labels[name] for name in same['response']])}"
        why = "" if is_missing(reason) else f": {str(reason).rstrip('.')}"
        sentences.append(f"{opening}{size}{which}{why}.")
    if new_sentences and sentences:
        sentences.append("The variance between test sentences is added to that.")
    return sentences


def families_sentence(coefficients: pd.DataFrame, effects: pd.DataFrame) -> str:
    """Name the families over which p-values are adjusted."""
    families = pd.concat([effects["family"], coefficients["family"]]).dropna().unique()
    if not len(families):
        return ""
    return (
        f"Adjusted p-values count every comparison of their family: {'; '.join(families)}. A relative term that is the "
        "same as the absolute one counts there."
    )


def ladder_sentence(rows: pd.DataFrame, label: str, alpha: float = 0.05) -> str:
    """Say which rungs of the model ladder add to those below them, and which one AICc prefers."""
    adds = [
        f"{RUNGS[row['rung']]} {'add' if row['p_robust'] < alpha else 'are not shown to add'} to it "
        f"({p_equals(row['p_robust'])})"
        for row in rows.to_dict("records")[1:]
        if not is_missing(row["p_robust"])
    ]
    best = rows.loc[rows["aicc"].idxmin(), "rung"] if rows["aicc"].notna().any() else None
    opening = f"{sentence_case(label)}: beyond the first order, {joined(adds)}" if adds else sentence_case(label)
    if best is None:
        return f"{opening}."
    chosen = bool(rows.loc[rows["rung"] == best, "chosen"].iloc[0])
    which = "the study's own" if chosen else "not the study's own"
    return f"{opening}; AICc is lowest for the {MODELS[best]} model, {which}."


def lack_of_fit_sentences(rows: Iterable[Row], labels: Mapping[str, str], *, model: str, alpha: float) -> list[str]:
    """Return a sentence on each surface's lack of fit; those left open for the same reason together."""
    left, judged = [], []
    for row in rows:
        (left if is_missing(row["p_value"]) and not is_missing(row["statistic"]) else judged).append(row)
    alike = together((plain_reason(row), f"{labels[row['response']]} ({fit_text(row)})") for row in left)
    sentences = [lack_of_fit_sentence(row, labels[row["response"]], model=model, alpha=alpha) for row in judged]
    sentences += [
        f"Whether the {MODELS[model]} surface misses the settings' means is left open for {joined(names)}: lack of fit "
        f"has no p-value, as {reason}."
        for reason, names in alike.items()
    ]
    return sentences


def fit_text(row: Row) -> str:
    """Print a row's F statistic with its degrees of freedom."""
    return f_text(row["statistic"], row["df_numerator"], row["df_denominator"])


def lack_of_fit_sentence(row: Row, label: str, *, model: str, alpha: float = 0.05) -> str:
    """Say whether a surface describes the means of its settings, and what to do where it misses them."""
    surface = f"the {MODELS[model]} surface of {label}"
    if is_missing(row["statistic"]):
        return f"Lack of fit of {surface} has no answer: {plain_reason(row)}."
    how = "" if is_missing(row["reason"]) else f" ({plain_reason(row)})"
    tested = f"lack of fit {fit_text(row)}, {p_equals(row['p_value'])}{how}"
    if row["p_value"] >= alpha:
        return f"{sentence_case(surface)} describes the settings' means: {tested}."
    return (
        f"{sentence_case(surface)} misses the settings' means: {tested}. Read it as a trend, look "
        "at the observed means beside it, and try a higher analysis.model or a narrower range of levels."
    )


def unseen_cliffs_sentence(levels: Mapping[str, int], model: str) -> str:
    """Name the factors along which no lack of fit can show, given how many levels each has."""
    columns = terms(list(levels), model)
    blind = [factor_label(name) for name, count in levels.items() if count <= levels_needed(name, columns)]
    if not blind:
        return ""
    return (
        f"Along {joined(blind)} the {MODELS[model]} surface passes through the means of its levels, "
        "so a sudden drop there would not show as lack of fit; with one more level it would."
    )


def residual_sentences(checks: pd.DataFrame, labels: Mapping[str, str], alpha: float = 0.05) -> list[str]:
    """Say what the tests of noise, shape and normality found and what follows; quiet and untested ones together."""
    sentences = []
    for check, (quiet, untested, loud) in RESIDUAL_CHECKS.items():
        rows = checks[(checks["check"] == check) & checks["response"].isin(list(labels))].to_dict("records")
        tested = [row for row in rows if not is_missing(row["p_value"])]
        found = [row for row in tested if row["p_value"] < alpha]
        sentences += [loud.format(label=labels[row["response"]], tested=tested_text(row)) for row in found]
        silent = [f"{labels[row['response']]} ({p_equals(row['p_value'])})" for row in tested if row not in found]
        sentences += [quiet.format(labels=joined(silent, "or"))] if silent else []
        others = grouped_by_reason([row for row in rows if row not in tested], labels)
        sentences += [f"{untested.format(labels=names)} is not tested: {reason}." for names, reason in others]
    return sentences


def tested_text(row: Row) -> str:
    """Print a check's statistic and its p-value."""
    name = {"breusch_pagan": "Breusch-Pagan ", "reset": "RESET ", "normality": "Shapiro-Wilk "}[row["check"]]
    is_f = not (is_missing(row["df_numerator"]) or is_missing(row["df_denominator"]))
    statistic = fit_text(row) if is_f else f"W = {number(row['statistic'], 3)}"
    return f"{name}{statistic}, {p_equals(row['p_value'])}"


def influence_sentence(cook: Row, leverage: Row, label: str) -> str:
    """Name the run that moves a fit most, and the one that is placed to."""
    whose = "is its own" if leverage["run_id"] == cook["run_id"] else f"belongs to {leverage['run_id']}"
    return (
        f"The run that moves the fit of {label} most is {cook['run_id']} (Cook's distance "
        f"{significant(cook['statistic'])}); the highest leverage, {significant(leverage['statistic'])}, {whose}."
    )


def sensitivity_sentence(sensitivity: pd.DataFrame, labels: Mapping[str, str], confidence: float = 0.95) -> str:
    """Say whether every term keeps its sign and its side of the error rate, or name those that change."""
    others = sensitivity[sensitivity["specification"] != "default"]
    tried = others[others["agrees"].notna()]
    if tried.empty:
        return "No other specification could be tried." if len(sensitivity) else ""
    rate = percent(1 - confidence)
    ways = joined([SPECIFICATIONS[name] for name in tried["specification"].unique()])
    changed = tried[~tried["agrees"].astype(bool)]
    if changed.empty:
        return f"Every verdict survives: each term keeps its sign and its side of p = {rate} under {ways}."
    return f"These terms change their sign or their side of p = {rate}: {'; '.join(changes(changed, labels))}."


def changes(changed: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """Name the terms that change, a response at a time, with the specifications under which they do."""
    parts = []
    for response, rows in changed.groupby("response", sort=False):
        alike = together((term_label(row.term), SPECIFICATIONS[row.specification]) for row in rows.itertuples())
        named = [f"{term} ({', '.join(ways)})" for term, ways in alike.items()]
        parts.append(f"on {labels[response]}, {joined(named)}")
    return parts


def untried_sentences(sensitivity: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """Say which specifications could not be tried, for which responses where not for all, and why."""
    rows = sensitivity[sensitivity["reason"].notna() & sensitivity["p_value"].isna()]
    sentences = []
    for (name, reason), found in rows.groupby(["specification", "reason"], sort=False):
        names = [labels[response] for response in found["response"].unique()]
        where = "" if len(names) == sensitivity["response"].nunique() else f" for {joined(names)}"
        sentences.append(f"Not tried: {SPECIFICATIONS[name]}{where}, as {str(reason).rstrip('.')}.")
    return sentences
