"""Claims: how they are read and checked, and what they are judged by."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import yaml
from statsmodels.stats.multitest import multipletests

from finevar.analyses import claims, fits
from finevar.errors import InputError
from finevar.reasons import Stop, Undecided
from finevar.report.sections import claims as claims_section
from finevar.statistics.verdicts import Reading
from finevar.study import claim_files
from finevar.study.config import read_config
from finevar.tables import TABLES
from prose import MISSING, numbers
from refusals import at, names, refusals
from report_fixtures import FACTORS, fitting, plan_of, simulate_metrics

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
        ("accuracy", "learning_rate", "relative", None),
        ("accuracy", "batch_size", "absolute", 0.028),
        ("f1", "batch_size", "absolute", 0.005),
        ("loss", "batch_size", "absolute", 0.170),
        ("f1", "batch_size:epochs", None, 0.001),
    ]
    assert [row["finding"] for row in found] == ["effect", "effect", "effect", "effect", "not_significant", "effect"]
    assert all("2501.00241" in row["source"] for row in found)


def test_claims_of_lora_name_settings_of_finevar_and_which_way_each_goes(raw_config):
    assert [(row["term"], row["finding"], row["sign"]) for row in read(raw_config, "config/claims/lora.yaml")] == [
        ("learning_rate:method[lora-full]", "effect", "negative"),
        ("learning_rate:method[lora-full]", "none", None),  # of rates ten times as high
        ("batch_size:method[lora-full]", "effect", "positive"),
        ("batch_size:lora_rank", "none", None),
        ("learning_rate:lora_rank", "none", None),
        ("lora_layers[attention-all]", "effect", "positive"),
    ]


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
        ("claims: [{response: f1, term: 'a\nb': 2", "mine.yaml, line 1", []),
        ("[" * 5000, "mine.yaml", []),
        ("claims: 2024-02-30", "mine.yaml", ["day"]),
        ("a: &a [x, x]\nb: &b [*a, *a]\nclaims: " + "[" * 12 + "*b" + "]" * 12, "mine.yaml: claims.0", []),
        ("x" * 2_000_000, "mine.yaml", ["1,000,000"]),
        ("claims: [{response: f1, term: \udcff}]", "mine.yaml, line 1", []),
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
    assert names(error, "warmup", "weight_decay")


def test_claims_that_repeat_another_are_refused(raw_config):
    (error,) = refused(raw_config, SHIPPED, {"response": "f1", "term": "batch_size", "framework": "absolute"})
    assert error.where == "config: analysis.claims[1]"
    assert names(error, f"{SHIPPED}: claims[3]")
    same = {"response": "f1", "term": "epochs", "name": "twice"}
    (error,) = refused(raw_config, same, same | {"response": "loss"})
    assert error.where == "config: analysis.claims[1]"
    assert names(error, "config: analysis.claims[0]", "'twice'")


# Judging --------------------------------------------------------------------------------------------------------------


def reading(low: float, high: float) -> Reading:
    """Return what a surface says to one contrast with this interval."""
    return Reading(
        (low + high) / 2, (high - low) / 4, 30.0, 0.5, low, high, number=0, least=low, most=high, seed_share=1.0
    )


@pytest.mark.parametrize(
    ("finding", "sign", "ends", "p", "seeds", "verdict"),
    [
        ("effect", "positive", (0.01, 0.05), 0.01, 5, "replicated"),
        ("effect", "positive", (0.01, 0.05), 0.06, 5, "undecided"),  # once all claims are counted
        ("effect", "positive", (0.001, 0.008), 0.01, 5, "replicated"),
        ("effect", "positive", (-0.05, -0.01), 0.01, 5, "contradicted"),
        ("effect", "negative", (0.001, 0.05), 0.06, 2, "contradicted"),  # the interval is on the other side of zero
        ("effect", "negative", (-0.001, 0.05), 0.06, 5, "undecided"),
        ("effect", "negative", (-0.001, 0.009), 0.06, 5, "smaller than matters"),
        ("effect", "negative", (-0.001, 0.009), 0.06, 3, "undecided"),
        ("effect", None, (-0.05, -0.01), 0.01, 5, "replicated"),
        ("effect", None, (-0.009, 0.009), 0.8, 5, "smaller than matters"),
        ("none", None, (-0.009, 0.009), 0.8, 5, "replicated"),
        ("none", None, (-0.009, 0.009), 0.8, 3, "undecided"),
        ("none", None, (0.001, 0.009), 0.01, 5, "replicated"),  # an effect too small to matter
        ("none", None, (0.011, 0.03), 0.01, 5, "contradicted"),
        ("none", None, (-0.03, -0.011), 0.01, 2, "contradicted"),
        ("none", None, (0.005, 0.03), 0.01, 5, "undecided"),  # an effect, but perhaps one too small to matter
        ("not_significant", None, (0.02, 0.03), 0.01, 5, "undecided"),
        ("not_significant", None, (-0.009, 0.009), 0.8, 5, "undecided"),
    ],
)
def test_the_verdict_on_a_claim_follows_from_its_interval(finding, sign, ends, p, seeds, verdict):
    surface = SimpleNamespace(smallest_effect=0.01, shows_absence=seeds >= 4, alpha=0.05)
    claim = {"finding": finding, "sign": sign}
    assert claims.verdict_on(claim, {"p_adjusted": p}, reading(*ends), surface) == verdict


@pytest.fixture(scope="module")
def stated() -> list[dict[str, Any]]:
    return some_claims()


def some_claims() -> list[dict[str, Any]]:
    """Return the published claims, and some that say nothing of what the simulated study can judge."""
    found = yaml.safe_load((claim_files.ROOT / SHIPPED).read_text(encoding="utf-8"))["claims"]
    extra = {"sign": None, "p": None, "statement": "", "source": "", "finding": "effect", "framework": "absolute"}
    more = [("accuracy", "warmup"), ("loss", "learning_rate^3"), ("loss", "learning_rate:epochs"), ("loss", "epochs^2")]
    return found + [extra | {"name": f"{t} on {r}", "response": r, "term": t} for r, t in more]


def analysed(stated: list[dict[str, Any]], seeds: tuple[int, ...] = (0, 1)) -> fits.FittedStudy:
    """Return a simulated study with claims."""
    plan = replace(plan_of(FACTORS, ["accuracy", "f1", "loss"]), claims=stated)
    return fits.FittedStudy.of(simulate_metrics(FACTORS, seeds, ("amazon",), 0), plan)


def judged(study: fits.FittedStudy) -> pd.DataFrame:
    return fitting(TABLES["claims"].schema, claims.judge_claims(study))


def test_a_simulated_study_judges_the_claims_by_its_own_truth(stated):
    table = judged(analysed(stated)).set_index("name")
    assert table.loc["learning rate on loss, relative to the baseline", "verdict"] == "contradicted", "it raises loss"
    assert table.loc["learning_rate:epochs on loss", "verdict"] == "replicated"
    assert table.loc["warmup on accuracy", "reason_code"] == Undecided.FIXED_FACTOR
    assert table.loc["learning_rate^3 on loss", "reason_code"] == Undecided.NO_TERM
    assert table.loc["batch size on loss", "reason_code"] == Undecided.NO_CLAIM
    none = ["batch size on accuracy", "batch size on F1", "epochs x batch size on F1"]
    assert set(table.loc[none, "verdict"]) == {"undecided"}, "their true terms are 0, and two seeds do not show it"
    tested = table[table["p_value"].notna()]
    assert len(tested) == 8, "of ten claims, two have no term in this study"
    adjusted = multipletests(tested["p_value"], method="holm")[1]
    np.testing.assert_allclose(tested["p_adjusted"], adjusted, rtol=1e-12)


def test_a_claim_is_about_a_contrast_of_its_own():
    """Against statsmodels: a slope a doubling at the baseline, a mean change, an interaction over the whole range."""
    told = [("relative", "learning_rate"), ("absolute", "epochs"), ("absolute", "learning_rate:epochs")]
    base = {"response": "loss", "finding": "effect", "sign": "positive", "p": None, "statement": "", "source": ""}
    stated = [base | {"framework": side, "term": term, "name": f"{side} {term}"} for side, term in told]
    study = analysed(stated)
    (surface,) = (found for found in study.surfaces if found.response == "loss")
    model = sm.OLS(study.metrics["loss"].to_numpy(float), surface.fit.matrix).fit(cov_type="HC3", use_t=True)
    weights = np.zeros((3, len(surface.names)))
    number = {name: place for place, name in enumerate(surface.names)}
    # The baseline: 1e-4, midway; 1 epoch, -1 coded; a doubling is half a coded unit of four doublings a side.
    weights[0, number["learning_rate"]], weights[0, number["learning_rate:epochs"]] = 0.5, -0.5
    weights[1, number["epochs"]] = 2
    weights[2, number["learning_rate:epochs"]] = 4
    expected = model.t_test(weights)
    rows = judged(study)
    np.testing.assert_allclose(rows["estimate"], expected.effect, rtol=1e-9)
    np.testing.assert_allclose(rows["std_error"], expected.sd, rtol=1e-9)
    np.testing.assert_allclose(rows[["ci_low", "ci_high"]], expected.conf_int(), rtol=1e-9)
    np.testing.assert_allclose(rows["p_value"], expected.pvalue, rtol=1e-6)
    assert rows["from_level"].isna().tolist() == [True, False, True], "only a change over a range has ends"
    assert rows["unit"].iloc[0] == "per doubling of learning_rate"


def test_a_claim_without_a_sign_is_judged_as_the_factor_is(stated):
    study = analysed(stated, seeds=(0, 1, 2, 3))
    row = judged(study).set_index("name").loc["batch size on F1"]
    effect = next(row for row in study.effects if (row["response"], row["factor"]) == ("f1", "batch_size"))
    assert (row["estimate"], row["p_value"]) == pytest.approx((effect["largest"], effect["p_value"]))
    assert (row["from_level"], row["to_level"]) == (16, 64)


def test_undecided_says_why(stated):
    alone = judged(analysed(stated, seeds=(0,)))
    undecided = alone[(alone["verdict"] == "undecided") & alone["estimate"].notna()]
    assert len(undecided)
    assert set(undecided["reason_code"]) <= {Undecided.NO_NOISE, Undecided.MULTIPLE_CLAIMS, Undecided.NO_CLAIM}
    metrics = simulate_metrics(FACTORS, (0, 1), ("amazon",), 0).assign(loss=0.4)
    stopped = judged(fits.FittedStudy.of(metrics, replace(plan_of(FACTORS, ["loss"]), claims=stated)))
    assert set(stopped.loc[stopped["response"] == "loss", "reason_code"]) == {Stop.CONSTANT, Undecided.NO_TERM}
    assert set(stopped.loc[stopped["response"] == "f1", "reason_code"]) == {Undecided.NO_FIT}
    row = {"p_value": 0.3, "smallest_effect": 0.01, "minimum_detectable": 0.03}
    surface = {"seeds": 5, "shows_absence": True, "population": "p", "alpha": 0.05}
    claim = {"finding": "effect"}
    for changes, code in (
        ({}, Undecided.POWER),
        ({"minimum_detectable": 0.01}, Undecided.CHANCE),
        ({"smallest_effect": None}, Undecided.CHANCE),
        ({"p_value": 0.04}, Undecided.MULTIPLE_CLAIMS),
        ({"seeds": 1, "shows_absence": False}, Undecided.NO_NOISE),
        ({"seeds": 3, "shows_absence": False}, Undecided.FEW_SEEDS),
        ({"finding": "not_significant"}, Undecided.NO_CLAIM),
    ):
        parts = [
            part | {name: value for name, value in changes.items() if name in part} for part in (claim, row, surface)
        ]
        assert claims.undecided_reason(parts[0], parts[1], SimpleNamespace(**parts[2])).code == code
    assert claims.seeds_needed(2, 0.03, 0.01) == 18  # 2 (0.03 / 0.01)^2


def test_the_section_tells_every_claim(stated):
    table = judged(analysed(stated))
    found = claims_section.section({"claims": table}, LABELS, list(FACTORS), 0.95)
    assert numbers(found["finding"])[0] == 10
    (group,) = found["groups"]
    assert len(group["sentences"]) == len(group["tables"][0]["rows"]) == 10
    texts = [part["text"] for part in group["sentences"]]
    for row, text in zip(table.to_dict("records"), texts, strict=True):
        assert row["verdict"] in text.lower()
        assert pd.isna(row["reason"]) or row["reason"].rstrip(".") in text
        assert not MISSING.search(text)


def test_a_section_without_claims_says_so():
    empty = fitting(TABLES["claims"].schema, [])
    found = claims_section.section({"claims": empty}, {}, [], 0.95)
    assert found == {"finding": claims_section.NO_CLAIMS, "groups": []}
