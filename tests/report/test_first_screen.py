"""The ranking and the checks of the report, against the tables that they are drawn from."""

from urllib.parse import parse_qs

import pytest

from finevar.report.labels import fitted_names
from finevar.report.sections import ranking, trust
from finevar.words.numbers import level
from report_fixtures import FACTORS, explore, facts, simulate


@pytest.fixture(scope="module")
def tables():
    return explore(simulate())


def checks(tables):
    said = trust.of_study(tables, fitted_names(tables, facts()), facts())["checks"]
    return {one["name"]: one["state"] for one in said}


def ranked(tables):
    return ranking.of_study(tables, fitted_names(tables, facts()), facts())


def test_settings_are_ranked_by_their_measured_means(tables):
    found = ranked(tables)
    means = tables["metrics"].groupby(list(FACTORS))["accuracy"].mean().sort_values(ascending=False)
    first = found["shown"][: ranking.SHOWN]
    assert [row["metrics"][0][0] for row in first] == [f"{mean:.3f}" for mean in means[: ranking.SHOWN]]
    assert [row["levels"].split(" \N{MIDDLE DOT} ") for row in first] == [
        [level(value) for value in levels] for levels in means.index[: ranking.SHOWN]
    ]
    assert [row["badge"] for row in found["shown"]].count("recommended") == 1, "never folded"
    assert len(found["shown"]) + len(found["rest"]) == len(means)


def test_a_strip_has_every_run_and_the_mean_between_them(tables):
    for row in ranked(tables)["shown"]:
        strip = row["strip"]
        assert len(strip["runs"]) == 2
        assert strip["mean"] == pytest.approx(sum(strip["runs"]) / 2, abs=0.1)  # rounded to 0.1 pixels
        assert ranking.LEFT <= min(strip["ends"]) <= max(strip["ends"]) <= ranking.RIGHT


def test_a_setting_links_to_its_runs_in_the_explorer(tables):
    row = ranked(tables)["shown"][0]
    said = parse_qs(row["link"].removeprefix("#explore?"))
    run = tables["metrics"].set_index("run_id").loc[said["runs"][0]]
    assert {name: float(said[name][0]) for name in FACTORS} == run[list(FACTORS)].to_dict()
    assert all(said[f"only.{name}"] == [f"{said[name][0]}..{said[name][0]}"] for name in FACTORS)


@pytest.mark.parametrize(("low", "high"), [(0.72, 0.89), (0.001, 0.0042), (0.5, 0.5), (3.0, 250.0)])
def test_ticks_are_round_and_on_the_scale(low, high):
    scale = ranking.Scale(low, high)
    places = [tick["at"] for tick in scale.ticks()]
    assert places == sorted(places)
    assert all(ranking.LEFT <= place <= ranking.RIGHT for place in places)
    assert len(places) <= ranking.TICKS + 2


def test_two_seeds_and_a_best_at_the_edge_ask_for_caution(tables):
    states = checks(tables)
    assert states["Seeds"] == trust.CAUTION
    assert states["Best inside the range"] == trust.CAUTION  # epochs 3, see the cautions
    assert states["Effects at all"] == trust.PASS
    assert states["Diverged and collapsed"] == trust.PASS


@pytest.mark.parametrize(("p_value", "state"), [(0.049, trust.FAIL), (0.051, trust.PASS)])
def test_lack_of_fit_fails_below_the_error_rate(tables, p_value, state):
    assert checks(tables | {"checks": tables["checks"].assign(p_value=p_value)})["Lack of fit"] == state


@pytest.mark.parametrize(("agrees", "state"), [(True, trust.PASS), (False, trust.FAIL)])
def test_conclusions_that_no_specification_shares_fail(tables, agrees, state):
    robustness = tables["robustness"]
    changed = robustness.assign(agrees=robustness["agrees"].where(robustness["agrees"].isna(), agrees))
    assert checks(tables | {"robustness": changed})["Specifications"] == state


def test_a_suspect_run_asks_for_caution(tables):
    for suspect, state in ((False, trust.PASS), (True, trust.CAUTION)):
        assert checks(tables | {"influence": tables["influence"].assign(suspect=suspect)})["Influence"] == state
