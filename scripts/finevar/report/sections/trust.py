"""The report's checks, a line each: whether the answer can be trusted, and where the numbers behind it are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finevar.analyses.cautions import mistaken_rows
from finevar.reasons import Caution
from finevar.report.parts import Facts, Labels, Section, Tables, chosen
from finevar.report.recommendation import advice
from finevar.report.sections import failures as failed_runs
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.crossed import crossed_parts, independent_seeds
from finevar.words.formatting import counted, factor_label, joined
from finevar.words.inspection import caution_sentences
from finevar.words.numbers import p_equals, significant, whole_percent
from finevar.words.recommendation import Advice, class_sentence, unlearnt_sentence

PART, PLACE, TITLE = "trust", 0, "Checks"
PASS, CAUTION, FAIL = "pass", "caution", "fail"

Check = dict[str, str]


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section | None:
    """Return the checks that apply; None where nothing was fitted."""
    if not labels:
        return None
    alpha = 1 - facts["config"]["analysis"]["confidence"]
    advised = advice(tables, labels, list(facts["factors"]))
    found = [
        *data_checks(facts),
        effects_check(tables),
        *recommended_checks(advised),
        lack_check(tables, labels, alpha),
    ]
    found += [noise_check(tables, labels, alpha), suspects_check(tables), specifications_check(tables, labels)]
    if advised:
        found += [
            learning_check(advised),
            seeds_check(tables),
            sentences_check(tables, advised),
            failures_check(tables),
        ]
    found.append(classes_check(tables))
    return {"template": "trust.html", "checks": [one for one in found if one]}


def check(name: str, state: str, text: str, link: str) -> Check:
    """Return a line: what is checked, how it came out, in words, and the section that has the numbers."""
    return {"name": name, "state": state, "text": text, "link": link}


def data_checks(facts: Facts) -> Iterator[Check]:
    """Yield whether the model sees what is in the data, where that is known."""
    if facts["seen"]:
        texts = [text for name, seen in facts["seen"].items() for text in caution_sentences(name, seen)]
        text = " ".join(texts) or "The tokeniser knows the texts, few are cut, and no two parts look alike."
        yield check("What the model sees", CAUTION if texts else PASS, text, "data")


def effects_check(tables: Tables) -> Check:
    """Say whether anything moves a metric at all."""
    verdicts = tables["effects"]["verdict"].dropna()
    shown = int((verdicts == "effect").sum())
    text = f"{shown} of {counted(len(verdicts), 'effect')} shown: hyperparameters move the metrics."
    if not shown:
        text = f"0 of {counted(len(verdicts), 'effect')} shown: settings may differ by chance alone."
    return check("Effects at all", PASS if shown else CAUTION, text, "effects")


def recommended_checks(advised: Advice | None) -> Iterator[Check]:
    """Yield whether the recommended setting is inside the range."""
    if advised is None or advised.best is None:
        return
    edges = [factor_label(row["factor"]) for row in advised.cautions if row["code"] == Caution.EDGE]
    text = f"At the edge of the range of {joined(edges)}: a better setting may lie beyond."
    inside = "The recommended setting is inside the range of every hyperparameter."
    yield check("Best inside the range", CAUTION if edges else PASS, text if edges else inside, "ranking")


def lack_check(tables: Tables, labels: Labels, alpha: float) -> Check:
    """Say which surfaces miss the settings' means by more than seeds explain."""
    rows = chosen(tables["checks"], check="lack_of_fit")
    rows = rows[rows["response"].isin(list(labels)) & (rows["p_value"] < alpha)].to_dict("records")
    found = joined([f"{labels[row['response']]} ({p_equals(row['p_value'])})" for row in rows])
    text = (
        f"The surface misses the means of {found}: rely on measured means."
        if rows
        else "Surfaces fit the measured means."
    )
    return check("Lack of fit", FAIL if rows else PASS, text, "checks")


def noise_check(tables: Tables, labels: Labels, alpha: float) -> Check:
    """Say for which metrics noise differs between settings."""
    rows = chosen(tables["checks"], check="breusch_pagan")
    rows = rows[rows["response"].isin(list(labels)) & (rows["p_value"] < alpha)]
    uneven = joined([labels[name] for name in rows["response"]])
    text = (
        f"The noise of {uneven} differs between settings; standard errors allow for it."
        if uneven
        else "Noise is even over the settings."
    )
    return check("Noise", CAUTION if uneven else PASS, text, "checks")


def suspects_check(tables: Tables) -> Check:
    """Say how many runs are far from what the others lead to expect."""
    count = tables["influence"].loc[tables["influence"]["suspect"].fillna(False).astype(bool), "run_id"].nunique()
    text = f"{counted(count, 'run')} far from what the others lead to expect." if count else "No run stands out."
    return check("Influence", CAUTION if count else PASS, text, "checks")


def specifications_check(tables: Tables, labels: Labels) -> Check | None:
    """Say how many conclusions on effects hold in every reasonable analysis."""
    rows = tables["robustness"]
    rows = rows[rows["response"].isin(list(labels)) & rows["agrees"].notna() & (rows["factor"] != "")]
    if rows.empty:
        return None
    shares = rows.assign(agrees=rows["agrees"].astype(float)).groupby(["response", "factor"])["agrees"].mean()
    firm, least = int((shares == 1).sum()), float(shares.min())
    held = f"{firm} of {counted(len(shares), 'conclusion')} hold in every specification"
    text = f"{held}." if least == 1 else f"{held}; the least firm in {whole_percent(least)}."
    return check("Specifications", PASS if least == 1 else CAUTION if least >= 0.5 else FAIL, text, "robustness")


def learning_check(advised: Advice) -> Check:
    """Say how many runs show nothing learnt."""
    rows = [row for row in advised.cautions if row["code"] in (Caution.ONE_CLASS, Caution.GUESSING)]
    text = " ".join(unlearnt_sentence(row) for row in rows) or "Every run's answers follow the labels."
    return check("Learning", FAIL if advised.learnt_nothing else CAUTION if rows else PASS, text, "failures")


def classes_check(tables: Tables) -> Check | None:
    """Say where classes are taken for one another."""
    found = [class_sentence(row) for row in mistaken_rows(tables["metrics"])]
    return check("Classes", CAUTION, " ".join(found), "errors") if found else None


def seeds_check(tables: Tables) -> Check:
    """Say whether the seeds are enough for a variance of their own."""
    seeds = independent_seeds(tables["metrics"])
    few, of = seeds < FEW_SEEDS, " of a part" if crossed_parts(tables["metrics"]) else ""
    enough = f"{FEW_SEEDS} or more show" if few else "enough to show"
    text = f"{counted(seeds, 'seed')}{of}: {enough} what another seed changes."
    return check("Seeds", CAUTION if few else PASS, text, "variability")


def sentences_check(tables: Tables, advised: Advice) -> Check | None:
    """Say whether the test sentences are enough for the smallest effect of interest; None where nothing is known."""
    if tables["fits"]["test_set_se"].isna().all():
        return None
    row = next((one for one in advised.cautions if one["code"] == Caution.FEW_SENTENCES), None)
    if row is None:
        return check(
            "Test sentences", PASS, "Their standard error is below the smallest effect of interest.", "variability"
        )
    text = (
        f"{int(row['count']):,} give a standard error of {significant(row['value'])}, above the smallest effect of "
        f"interest ({significant(row['limit'])})."
    )
    return check("Test sentences", CAUTION, text, "variability")


def failures_check(tables: Tables) -> Check | None:
    """Say how many runs diverged or collapsed."""
    if tables["failures"].empty:
        return None
    row: dict[str, Any] = tables["failures"].iloc[0].to_dict()
    failed, runs = failed_runs.failed(row), counted(int(row["runs"]), "run")
    text = f"{failed_runs.failed_text(row)} of {runs}." if failed else f"0 of {runs} diverged or collapsed."
    return check("Diverged and collapsed", CAUTION if failed else PASS, text, "failures")
