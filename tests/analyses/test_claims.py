"""Claims: how they are read and checked, what they are judged by, and how often that goes wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from tests.calibration import claims as calibration

from finevar.analyses import claims
from finevar.analyses import fits as readings
from finevar.errors import InputError
from finevar.reasons import Reason, Stop, Undecided
from finevar.report.sections import claims as claims_section
from finevar.study import claim_files
from finevar.study.config import read_config
from finevar.tables import TABLES
from refusals import at, names, refusals
from report_fixtures import FACTORS, as_read, fitting, plan_of, simulate_metrics

SHIPPED = "config/claims/distilbert_variability.yaml"
LABELS = {"accuracy": "accuracy", "f1": "F1", "loss": "loss"}


def refused(raw: dict[str, Any], *items: Any) -> list[InputError]:
    """Return the mistakes that these claims are refused for."""
    return refusals(read_config, raw | {"analysis": {"claims": list(items)}})


def read(raw: dict[str, Any], *items: Any) -> list[dict[str, Any]]:
    return read_config(raw | {"analysis": {"claims": list(items)}})["analysis"]["claims"]


# Reading --------------------------------------------------------------------------------------------------------------


def test_the_papers_claims_are_found_from_any_folder_and_say_what_its_abstract_says(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read(raw_config, SHIPPED)
    assert [(row["response"], row["term"], row["framework"], row["p"]) for row in found] == [
        ("loss", "learning_rate", "relative", 0.027),
        ("accuracy", "batch_size", "absolute", 0.028),
        ("f1", "batch_size", "absolute", 0.005),
        ("loss", "batch_size", "absolute", 0.170),
        ("f1", "batch_size:epochs", None, 0.001),
    ]
    assert [row["finding"] for row in found] == ["effect", "effect", "effect", "none", "effect"]
    assert all("2501.00241" in row["source"] for row in found)


def test_a_file_in_the_working_folder_comes_first_and_claims_in_the_config_beside_it(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("claims: [{response: f1, term: epochs, p: 2e-3}]")
    first, second = read(raw_config, "mine.yaml", {"response": "loss", "term": "epochs:batch_size", "sign": "negative"})
    assert (first["p"], first["name"], first["framework"]) == (0.002, "epochs on f1", None)
    assert second["term"] == "batch_size:epochs", "as the model names it"
    assert set(first) == set(second) == set(read(raw_config, SHIPPED)[0])


def test_claims_read_again_are_the_same(raw_config):
    found = read(raw_config, SHIPPED)
    assert read(raw_config, *copy.deepcopy(found)) == found


@pytest.mark.parametrize(
    ("text", "where", "data"),
    [
        ("claims: []", "mine.yaml: claims", ["[]", "1"]),
        ("claim: 1", "mine.yaml: top level", ["'claims'"]),
        ("[1, 2]", "mine.yaml: top level", ["[1, 2]", "object"]),
        ("claims: [{response: f1, term: epochs, pp: 1}]", "mine.yaml: claims.0", ["'pp'", "name, response"]),
        ("claims: [{response: f1, term: epochs, p: 1.5}]", "mine.yaml: claims.0.p", ["1.5", "1"]),
        ("claims: [{response: f1, term: epochs, sign: up}]", "mine.yaml: claims.0.sign", ['"up"', "positive"]),
        ("claims: [{response: f1, term: epoch}]", "mine.yaml: claims[0].term", ["'epoch'", "learning_rate"]),
        ("claims: [{response: f1, term: epochs^4}]", "mine.yaml: claims[0].term", ["'epochs^4'"]),
        ("claims: [{response: mcc, term: epochs}]", "mine.yaml: claims[0].response", ["'mcc'", "accuracy, f1, loss"]),
        ("claims: [{response: f1, term: 'a\nb': 2", "mine.yaml", []),
        ("[" * 5000, "mine.yaml", []),
        ("claims: 2024-02-30", "mine.yaml", ["day"]),
        ("a: &a [x, x]\nb: &b [*a, *a]\nclaims: " + "[" * 12 + "*b" + "]" * 12, "mine.yaml: claims.0", []),
        ("x" * 2_000_000, "config: analysis.claims[0]", ["'mine.yaml'", "1,000,000"]),
        ("claims: [{response: f1, term: \udcff}]", "mine.yaml", []),
    ],
)  # fmt: skip
def test_a_mistake_in_a_claims_file_is_named(raw_config, tmp_path, monkeypatch, text, where, data):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text, errors="surrogateescape")
    assert len(str(at(refused(raw_config, "mine.yaml"), where, *data))) < 1500


@pytest.mark.parametrize("name", ["nowhere.yaml", "/dev/zero", "config", "a\0b", "\ud800", "x" * 300, ""])
def test_a_path_that_is_no_file_is_named(raw_config, name):
    assert at(refused(raw_config, name), "config: analysis.claims[0]")


def test_all_mistakes_are_named_at_once(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("claims: [{response: f1, term: epochs, p: 2}, {response: f1, term: lerning_rate}]")
    claim = {"response": "mcc", "term": "epochs"}
    found = refused(raw_config | {"model": "bert"}, "mine.yaml", "gone.yaml", claim)
    assert {error.where for error in found} == {
        "mine.yaml: claims.0.p", "mine.yaml: claims[1].term", "config: analysis.claims[1]",
        "config: analysis.claims[2].response", "config: model",
    }  # fmt: skip


def test_terms_of_other_factors_are_sound_but_misspelt_ones_are_not(raw_config):
    assert read(raw_config, {"response": "f1", "term": "warmup:epochs"})[0]["term"] == "epochs:warmup"
    (error,) = refused(raw_config, {"response": "f1", "term": "warm_up"})
    assert "warmup, weight_decay" in error.allowed


def test_claims_that_repeat_another_are_refused(raw_config):
    (error,) = refused(raw_config, SHIPPED, {"response": "f1", "term": "batch_size", "framework": "absolute"})
    assert error.where == "config: analysis.claims[1]"
    assert f"{SHIPPED}: claims[2]" in error.found
    same = {"response": "f1", "term": "epochs", "name": "twice"}
    (error,) = refused(raw_config, same, same | {"response": "loss"})
    assert error.where == "config: analysis.claims[1]"
    assert names(error, "config: analysis.claims[0]", "'twice'")


# Judging --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finding", "sign", "ours", "estimate", "verdict"),
    [
        ("effect", "positive", "effect", 1, "replicated"),
        ("effect", "positive", "effect", -1, "contradicted"),
        ("effect", None, "effect", -1, "replicated"),
        ("effect", None, "negligible", 1, "contradicted"),
        ("effect", "negative", "undecided", -1, "undecided"),
        ("none", None, "negligible", 1, "replicated"),
        ("none", None, "effect", 1, "contradicted"),
        ("none", None, "undecided", 1, "undecided"),
        ("none", None, None, 1, "undecided"),
    ],
)
def test_the_verdict_on_a_claim_follows_from_ours(finding, sign, ours, estimate, verdict):
    assert claims.verdict_on({"finding": finding, "sign": sign}, {"verdict": ours, "estimate": estimate}) == verdict


@pytest.fixture(scope="module")
def stated() -> list[dict[str, Any]]:
    return some_claims()


def some_claims() -> list[dict[str, Any]]:
    """Return the published claims, and some that say nothing of what the simulated study can judge."""
    found = yaml.safe_load((claim_files.ROOT / SHIPPED).read_text(encoding="utf-8"))["claims"]
    extra = {"sign": None, "p": None, "statement": "", "source": "", "finding": "effect", "framework": "absolute"}
    more = [("accuracy", "warmup"), ("loss", "learning_rate^3"), ("loss", "learning_rate:epochs"), ("loss", "epochs^2")]
    return found + [extra | {"name": f"{t} on {r}", "response": r, "term": t} for r, t in more]


def judged(stated: list[dict[str, Any]], *, seeds: tuple[int, ...] = (0, 1), responses: str = "accuracy f1 loss"):
    """Return the claims table of a simulated study, its coefficients and its fits."""
    metrics = simulate_metrics(FACTORS, seeds, ("amazon",), 0)
    plan = plan_of(FACTORS, responses.split())
    plan = readings.Plan(plan.codings, plan.baseline, plan.responses, plan.order, plan.confidence, stated)
    rows = readings.fit_study(readings.FittedStudy.of(metrics, plan))
    if "loss" not in responses:
        gate = Reason(Stop.CONSTANT, "loss is 0.4 in every run")
        rows["fits"] += [readings.stopped_fit(metrics, "loss", name, gate) for name in ("absolute", "relative")]
    tables = as_read({name: rows[name] for name in ("coefficients", "effects", "fits")})
    facts = {"factors": FACTORS, "model": "quadratic", "confidence": 0.95}
    found = claims.judge_claims(tables["coefficients"], tables["fits"], stated, **facts)
    return fitting(TABLES["claims"].schema, found), tables


def test_a_simulated_study_judges_the_claims_by_its_own_truth(stated):
    table, tables = judged(stated)
    table = table.set_index("name")
    assert table.loc["learning rate on loss, relative to the baseline", "verdict"] == "contradicted", "it raises loss"
    assert table.loc["learning_rate:epochs on loss", "verdict"] == "replicated"
    assert table.loc["warmup on accuracy", "reason_code"] == Undecided.FIXED_FACTOR
    assert table.loc["learning_rate^3 on loss", "reason_code"] == Undecided.NO_TERM
    none = ["batch size on accuracy", "batch size on F1", "epochs and batch size together on F1"]
    assert "replicated" not in set(table.loc[none, "verdict"]), "their true terms are 0"
    effect = tables["effects"].set_index(["response", "factor"]).loc[("accuracy", "batch_size")]
    row = table.loc["batch size on accuracy"]
    assert (row["estimate"], row["ci_low"], row["std_error"]) == pytest.approx(
        (effect["change"], effect["ci_low"], effect["std_error"])
    )
    assert (row["from_level"], row["to_level"]) == (16, 64)
    family = tables["coefficients"].query("family.notna()", engine="python")["family"].str.extract(r"(\d+) claims")[0]
    assert set(family.dropna()) == {"7"}, "of nine claims, two have no term in this study"


def test_undecided_says_why(stated):
    alone = judged(stated, seeds=(0,))[0]
    undecided = alone[(alone["verdict"] == "undecided") & alone["estimate"].notna()]
    assert len(undecided)
    assert set(undecided["reason_code"]) <= {Undecided.NO_NOISE, Undecided.MULTIPLE_CLAIMS}
    stopped = judged(stated, responses="accuracy f1")[0]
    assert set(stopped.loc[stopped["response"] == "loss", "reason_code"]) == {Stop.CONSTANT, Undecided.NO_TERM}
    row = {"p_value": 0.3, "smallest_effect": 0.01, "minimum_detectable": 0.03}
    fit = {"pure_error_sd": 0.005, "seeds": 2}
    for changes, code in (
        ({}, Undecided.POWER),
        ({"minimum_detectable": 0.01}, Undecided.CHANCE),
        ({"smallest_effect": None}, Undecided.NO_NOISE),
        ({"p_value": 0.04}, Undecided.MULTIPLE_CLAIMS),
    ):
        assert claims.undecided_reason(row | changes, fit, 0.05).code == code
    assert claims.seeds_needed(2, 0.03, 0.01) == 18  # 2 (0.03 / 0.01)^2


def test_the_section_tells_every_claim(stated):
    table, _ = judged(stated)
    found = claims_section.section({"claims": table}, LABELS, list(FACTORS), 0.95)
    counts = table["verdict"].value_counts()
    assert found["finding"].startswith("Of 9 claims stated before the study, its runs ")
    for verdict, text in claims_section.VERBS.items():
        assert (text.format(counts.get(verdict)) in found["finding"]) == (verdict in counts)
    (group,) = found["groups"]
    assert len(group["sentences"]) == len(group["tables"][0]["rows"]) == 9
    texts = [part["text"] for part in group["sentences"]]
    for row, text in zip(table.to_dict("records"), texts, strict=True):
        assert row["verdict"] in text.lower()
        assert pd.isna(row["reason"]) or row["reason"] in text
        assert not any(word in text for word in ("nan", "None", "significant"))


def test_a_section_without_claims_says_so():
    empty = fitting(TABLES["claims"].schema, [])
    assert claims_section.section({"claims": empty}, {}, [], 0.95)["finding"].startswith("No claim was stated")


# How often that goes wrong --------------------------------------------------------------------------------------------


def test_claims_are_seldom_called_what_they_are_not():
    """Of 40 studies: 5 % would be 2; eight or more would come by chance in 0.1 % of such tests."""
    found = pd.Series(dict(calibration.rates(40, 5)))
    bound = 100 * 7 / 40
    assert found["no effect, an increase claimed: any replicated"] <= bound
    assert found["no effect, no effect claimed: any contradicted"] <= bound
    assert found["effect at the bound, no effect claimed: each replicated"] <= bound
    assert found["effect at the bound, an increase claimed: each contradicted"] <= bound
    assert found["large effect, a decrease claimed: any replicated"] == 0
    assert found["large effect, an increase claimed: each replicated"] > 95
