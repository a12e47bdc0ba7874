"""Figures from tidy tables: they draw, for any number of factors and data sets."""

import itertools
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from finevar.analyses.fits import FittedStudy
from finevar.figures import axes, charts, drawing, titles
from finevar.figures import surface as planes
from finevar.figures.epochs import caption, epochs_chart
from finevar.figures.gain import gain_chart
from finevar.figures.importance import importance_chart
from finevar.figures.palette import DARK, dark_style
from finevar.statistics.regression import predicted
from finevar.study.coding import Coding, codings_of
from prose import numbers
from report_fixtures import BASELINE, CENTRE, CODINGS, FACTORS, factors, plan_of, simulate, simulate_evaluations


@pytest.fixture(scope="module")
def tables():
    """Return a study of three factors."""
    return simulate()


def texts(chart, folder):
    """Save a chart and return the texts of its SVG, after checking both files."""
    paths = {kind: folder / f"figure.{kind}" for kind in ("svg", "json")}
    drawn = drawing.draw(chart)
    drawing.write_drawing(drawn, **paths)
    assert json.loads(paths["json"].read_text())["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    root = ET.parse(paths["svg"]).getroot()
    return [node.text for node in root.iter("{http://www.w3.org/2000/svg}text") if node.text]


def surface(tables, response="loss", study=CODINGS, baseline=BASELINE):
    """Return the surface of a study that recommends its fourth setting."""
    points = tables["metrics"]["point_id"].unique()
    point = points[3 % len(points)] if len(study) > 2 else None
    recommended = pd.DataFrame({"role": ["recommended"], "point_id": [point]})
    return planes.surface_chart(tables | {"recommendation": recommended}, response, study, baseline)


def test_coefficients_have_a_panel_a_response_and_a_row_a_term(tables, tmp_path):
    seen = texts(charts.coefficients_chart(tables["coefficients"]), tmp_path)
    assert {"accuracy", "F1", "loss", "learning rate", "learning rate \N{MULTIPLICATION SIGN} epochs"} <= set(seen)
    assert "intercept" not in seen


def test_coefficients_tell_verdicts_by_colour_and_shape(tables):
    spec = drawing.specification(charts.coefficients_chart(tables["coefficients"]))
    points = spec["vconcat"][0]["hconcat"][0]["layer"][2]["encoding"]
    assert points["color"]["field"] == points["shape"]["field"] == "verdict"
    assert len(set(points["color"]["scale"]["range"])) == len(set(points["shape"]["scale"]["range"])) == 5


def test_a_term_without_a_verdict_still_draws(tables, tmp_path):
    rows = tables["coefficients"].assign(verdict=None)
    assert "none" in texts(charts.coefficients_chart(rows), tmp_path)


def test_learning_rates_are_readable_on_a_logarithmic_axis(tables, tmp_path):
    seen = texts(charts.main_effects_chart(tables["profiles"], tables["metrics"], CODINGS), tmp_path)
    assert {"2.5e-5", "1e-4", "4e-4", "learning rate", "batch size (sentences a step)", "loss (nats)"} <= {
        text.replace("\N{MINUS SIGN}", "-") for text in seen
    }
    spec = drawing.specification(charts.main_effects_chart(tables["profiles"], tables["metrics"], CODINGS))
    first = spec["vconcat"][0]["hconcat"][0]["layer"][0]["encoding"]["x"]
    assert first["scale"]["type"] == "log"


def test_surface_marks_design_points_and_baseline(tables, tmp_path):
    seen = texts(surface(tables), tmp_path)
    assert {"loss", "recommended", "baseline", "epochs 1", "batch size 32"} <= set(seen)


def test_a_surface_is_sliced_through_the_recommended_setting_and_its_rings_are_means_there(tables):
    """The plane's value at a setting is the fit's own there; rings are means of the runs, by hand."""
    spec = drawing.specification(surface(tables))
    plane, *_, rings, _, _, _, _, _, _ = spec["vconcat"][0]["hconcat"][0]["layer"]  # of learning rate and batch size
    seen = pd.DataFrame(spec["datasets"][rings["data"]["name"]])
    runs = tables["metrics"].query("epochs == 1")
    means = runs.groupby(["learning_rate", "batch_size"])["loss"].mean()
    assert seen.set_index(["learning_rate", "batch_size"])["mean"].to_dict() == pytest.approx(means.to_dict(), abs=1e-4)
    cells = pd.DataFrame(spec["datasets"][plane["data"]["name"]])
    corner = cells.sort_values(["value_x", "value_y"]).iloc[-1]
    fit = FittedStudy.of(tables["metrics"], plan_of(FACTORS, list(CENTRE))).surfaces[2]
    (at,) = predicted(fit, {"learning_rate": np.ones(1), "batch_size": np.ones(1), "epochs": -np.ones(1)})
    assert corner[["predicted", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [at["predicted"], at["ci_low"], at["ci_high"]], rel=1e-4
    )
    domains = [panel["layer"][0]["encoding"]["color"]["scale"]["domain"] for panel in spec["vconcat"][0]["hconcat"]]
    assert domains[0] == domains[1] == domains[2]


def test_a_baseline_outside_the_levels_is_not_drawn(tables):
    far = BASELINE | {"learning_rate": 1e-2, "batch_size": 512}
    assert '"name": "baseline"' in json.dumps(drawing.specification(surface(tables)))
    assert '"name": "baseline"' not in json.dumps(drawing.specification(surface(tables, baseline=far)))


def test_better_is_yellow_for_loss_and_accuracy_alike(tables):
    for response, reverse in (("loss", True), ("accuracy", False)):
        spec = drawing.specification(surface(tables, response, baseline={}))
        colour = spec["vconcat"][0]["hconcat"][0]["layer"][0]["encoding"]["color"]["scale"]
        assert (colour["scheme"], colour["reverse"]) == ("viridis", reverse)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_factors_and_two_data_sets(count, tmp_path):
    study = factors(count)
    found = simulate(study, datasets=("amazon", "tweets"), diverged=2)
    study = codings_of(study)
    figures = [
        charts.coefficients_chart(found["coefficients"]),
        charts.main_effects_chart(found["profiles"], found["metrics"], study),
        surface(found, study=study),
        charts.learning_curves_chart(found["learning_curves"], study),
    ]
    seen = [texts(figure, tmp_path) for figure in figures]
    assert all(seen)
    assert {"amazon", "tweets"} <= set(seen[1])
    if count == 1:
        assert seen[2] == ["No surface of loss: one hyperparameter spans no plane."]


def test_six_factors_make_fifteen_planes():
    study = codings_of(factors(6))
    runs = pd.DataFrame([{name: float(coding.levels[k]) for name, coding in study.items()} for k in range(3)])
    runs = runs.assign(
        status="ok", f1_average="binary", positive="positive", loss=0.4, run_id=["a", "b", "c"], dataset="amazon"
    )
    runs["point_id"] = runs["run_id"]
    rows = [{"term": name, "estimate": 0.4, "group": "first_order"} for name in ("intercept", *study)]
    same = {"response": "loss", "framework": "absolute", "units": "coded", "std_error": 0.1, "ci_high": 0.6}
    pairs = itertools.product(["intercept", *study], repeat=2)
    about = {"response": "loss", "scale": "linear", "sentence": 0.0, "both": 0.0, "confidence": 0.95}
    about |= {"estimate": 0.4, "seed_df": 4.0, "sentence_df": math.nan}
    found = [about | {"term": a, "other": b, "seed": 0.01 * (a == b)} for a, b in pairs]
    tables = {"metrics": runs, "coefficients": pd.DataFrame([same | row for row in rows])}
    spec = drawing.specification(surface(tables | {"covariances": pd.DataFrame(found)}, study=study))
    assert sum(len(line["hconcat"]) for line in spec["vconcat"]) == 15


def test_a_gated_response_gives_a_sentence(tmp_path):
    found = simulate(gate=dict.fromkeys(CENTRE, "too few levels"))
    assert texts(charts.coefficients_chart(found["coefficients"]), tmp_path) == [
        "No coefficients: every response was stopped by a gate."
    ]
    assert texts(charts.main_effects_chart(found["profiles"], found["metrics"], CODINGS), tmp_path) == [
        "No profiles: every response was stopped by a gate."
    ]
    assert texts(surface(found), tmp_path) == ["No surface of loss: a gate stopped this response."]


def test_learning_curves_have_a_facet_a_level(tables, tmp_path):
    seen = texts(charts.learning_curves_chart(tables["learning_curves"], CODINGS), tmp_path)
    assert {"batch size 16", "batch size 32", "batch size 64", "training loss (nats)", "epoch"} <= set(seen)


def test_evaluations_by_epoch_have_a_facet_a_level(tables, tmp_path):
    ends = simulate_evaluations(tables["learning_curves"])
    seen = texts(epochs_chart(ends, CODINGS), tmp_path)
    assert {"batch size 16", "batch size 32", "batch size 64", "loss on the test sentences (nats)"} <= set(seen)
    runs = ends["run_id"].nunique()
    assert runs in numbers(caption(ends, 0.95))
    assert runs - 1 in numbers(caption(ends.iloc[:-1], 0.95)), "a run without its last epoch is left out and counted"
    assert len(texts(epochs_chart(ends.iloc[:0], CODINGS), tmp_path)) == 1


def test_many_levels_become_a_gradient(tables, tmp_path):
    curves = tables["learning_curves"]
    steps = curves.groupby("run_id").ngroup()
    curves = curves.assign(learning_rate=2.5e-5 * 1.05**steps, batch_size=16 + steps)
    assert texts(charts.learning_curves_chart(curves, CODINGS), tmp_path)


def test_many_points_are_thinned_and_each_run_keeps_its_last():
    rows = pd.DataFrame({"run_id": ["a"] * 9_000 + ["b"] * 3_000, "epoch": [*range(9_000), *range(3_000)], "loss": 0.5})
    found = charts.thinned(rows)
    assert len(found) == 2_000
    assert found.groupby("run_id")["epoch"].max().to_dict() == {"a": 8_999, "b": 2_999}
    assert charts.thinned(rows[:100]).equals(rows[:100])


def test_the_lines_of_very_many_runs_become_their_means():
    runs = [f"run{number}" for number in range(1_001)]
    rows = pd.DataFrame({"run_id": runs * 2, "epochs": 1, "epoch": [1] * 1_001 + [2] * 1_001})
    rows["loss"] = [*range(1_001)] * 2
    found = charts.thinned(rows)
    assert found.to_dict("records") == [{"epochs": 1, "epoch": epoch, "loss": 500.0} for epoch in (1, 2)]


def test_the_same_table_gives_the_same_files(tables, tmp_path):
    written = []
    for _ in range(2):
        texts(charts.learning_curves_chart(tables["learning_curves"], CODINGS), tmp_path)
        written.append([(tmp_path / f"figure.{kind}").read_bytes() for kind in ("svg", "json")])
    assert written[0] == written[1]


def test_rows_are_held_as_plain_values_of_five_digits():
    rows = pd.DataFrame(
        {"a": [1.23456789, np.nan, np.inf], "b": [1, 2, 3], "c": ["x", None, "y"], "d": [True, pd.NA, 2.5]}
    )
    assert json.dumps(drawing.lean(rows)["values"]) == json.dumps(
        [
            {"a": 1.2346, "b": 1, "c": "x", "d": True},
            {"a": None, "b": 2, "c": None, "d": None},
            {"a": None, "b": 3, "c": "y", "d": 2.5},
        ]
    )


def test_contours_of_a_plane_are_straight():
    xs, ys = np.linspace(0, 1, 9), np.linspace(0, 2, 11)
    table = pd.DataFrame([[2 * x + 3 * y for x in xs] for y in ys], index=ys, columns=xs)
    lines = planes.contour_lines(table, ["linear", "linear"], [1.7, 4.1])
    np.testing.assert_allclose(2 * lines["x"] + 3 * lines["y"], lines["height"])
    assert lines.groupby("line")["height"].unique().tolist() == [[1.7], [4.1]]


def test_a_contour_on_a_logarithmic_scale_is_straight_in_logarithms_and_is_drawn_along_its_course():
    xs, ys = np.geomspace(1, 16, 9), np.linspace(-1, 1, 9)
    table = pd.DataFrame([[np.log2(x) + y for x in xs] for y in ys], index=ys, columns=xs)
    ((_, line),) = planes.contour_lines(table, ["log", "linear"], [2.2]).groupby("line")
    np.testing.assert_allclose(np.log2(line["x"]) + line["y"], 2.2)
    assert line["y"].is_monotonic_increasing or line["y"].is_monotonic_decreasing


def test_a_height_carries_its_number_on_its_longest_line():
    x = np.linspace(0, 1, 20)
    parts = [(x, 0.0, 0.5), (x[:9], 1.0, 0.5), (x[:5], 2.0, 1.0)]  # the last is a corner
    lines = pd.concat(
        pd.DataFrame({"x": x, "y": y, "line": line, "height": height}) for line, (x, y, height) in enumerate(parts)
    )
    places = planes.label_places(lines, [0.5, 1.0])
    assert places.to_dict("records") == [{"x": x[8], "y": 0.0, "text": "0.5"}]


def test_cells_meet_half_way_on_a_logarithmic_scale():
    low, high = planes.cell_edges([1.0, 4.0, 16.0], Coding((1, 16), "log2"))
    assert low == pytest.approx({1.0: 1.0, 4.0: 2.0, 16.0: 8.0})
    assert high[16.0] == pytest.approx(16.0)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.0, 1.0, [0.2, 0.4, 0.6, 0.8]), (0.84, 0.866, [0.845, 0.85, 0.855, 0.86, 0.865])]
)
def test_round_steps(low, high, expected):
    assert planes.round_steps(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.5 - 2**-54, 0.5], [2 / 3 - 1e-16, 2 / 3], [0.0, 0.0], [1e9, 1e9 + 1e-7]])
def test_values_that_differ_by_rounding_alone_have_an_axis_with_room(values):
    low, high = axes.padded(pd.Series(values))
    assert low < min(values) - 0.009
    assert high > max(values) + 0.009


def test_a_figures_title_is_drawn_above_it(tmp_path):
    finding = "Accuracy rises with epochs " * 6
    drawn = drawing.draw(drawing.titled(drawing.stacked([drawing.note_chart("nothing")], 1), finding))
    assert drawn.title == finding.strip()
    assert ">Accuracy rises with epochs" in drawn.svg
    assert drawing.draw(drawing.titled(drawing.note_chart("nothing"), finding)).title == finding.strip()


def test_a_title_names_a_direction_only_where_there_is_an_effect_and_its_interval_is_off_zero():
    rows = [
        ("learning_rate", "effect", -0.1, 0.2),
        ("batch_size", "effect", -0.3, -0.1),
        ("epochs", "undecided", 0.1, 0.2),
    ]
    effects = pd.DataFrame(rows, columns=["factor", "verdict", "ci_low", "ci_high"])
    effects = effects.assign(response="accuracy", dataset="", datasets_differ=False)
    assert titles.main_effects_title(effects) == "Accuracy falls with batch size"
    assert "falls" not in titles.main_effects_title(effects.assign(verdict="undecided"))


def test_a_title_says_what_matters_most_only_where_the_intervals_are_apart():
    table = pd.DataFrame(
        {"response": "accuracy", "factor": [*FACTORS], "shapley": [0.7, 0.2, 0.1], "shapley_ci_low": [0.5, 0.1, 0.0],
         "shapley_ci_high": [0.9, 0.3, 0.2]}
    )  # fmt: skip
    assert titles.importance_title(table) == "Learning rate matters most to accuracy"
    assert "most" not in titles.importance_title(table.assign(shapley_ci_high=0.6))


def test_importance_has_a_bar_with_its_interval_a_factor(tmp_path):
    table = pd.DataFrame(
        {"response": "accuracy", "factor": [*FACTORS], "shapley": [0.25, 0.65, 0.1], "shapley_ci_low": 0.05,
         "shapley_ci_high": 0.75}
    )  # fmt: skip
    seen = texts(importance_chart(table), tmp_path)
    assert {"25%", "65%", "10%", "Learning rate", "Batch size", "Epochs"} <= set(seen)
    spec = drawing.specification(importance_chart(table))
    ends = pd.DataFrame(next(iter(spec["datasets"].values())))
    assert ends[["ci_low", "ci_high"]].to_numpy().tolist() == [[0.05, 0.75]] * 3


def test_a_dark_page_changes_every_colour_of_text_and_lines(tables):
    svg = drawing.draw(charts.coefficients_chart(tables["coefficients"])).svg
    used = {colour for colour in DARK if f'fill="{colour}"' in svg or f'stroke="{colour}"' in svg}
    assert {"#1b1f24", "#57606a"} <= used
    assert all(f'[fill="{colour}"]' in dark_style(".chart") for colour in used)
    assert 'fill="white"' not in svg.partition("<g")[0]


def shares(response: str, whole: float, **found: tuple[float, float, float]) -> pd.DataFrame:
    """Return rows of gain_shares: of each factor the share, and the ends of its interval."""
    rows = [{"factor": "", "estimate": whole, "ci_low": whole - 0.01, "ci_high": whole + 0.01}]
    for name, (value, low, high) in found.items():
        ends = {"ci_low": low, "ci_high": high, "simultaneous_low": low, "simultaneous_high": high}
        rows.append({"factor": name, "estimate": value, "from_level": 1.0, "to_level": 2.0} | ends)
    return pd.DataFrame(rows).assign(response=response)


def test_the_gain_names_only_factors_whose_share_is_shown_to_improve_the_metric(tmp_path):
    found = shares("loss", -0.2, epochs=(-0.15, -0.2, -0.1), dropout=(0.05, 0.02, 0.08), batch_size=(-0.1, -0.3, 0.1))
    title = titles.gain_title(found)
    assert "epochs" in title
    assert not [name for name in ("dropout", "batch size") if name in title]
    assert "Loss: \N{MINUS SIGN}0.200 in all" in texts(gain_chart(found), tmp_path)
    spec = drawing.specification(gain_chart(found))
    bars = next(layer for layer in spec["vconcat"][0]["hconcat"][0]["layer"] if layer["mark"]["type"] == "bar")
    fills = {row["label"].split("|")[0]: row["fill"] for row in spec["datasets"][bars["data"]["name"]]}
    assert fills["Epochs"] == fills["Batch size"] != fills["Dropout"]


def test_without_a_recommendation_the_gain_is_a_sentence(tmp_path):
    assert len(texts(gain_chart(shares("loss", -0.2, epochs=(-0.2, -0.3, -0.1)).iloc[:0]), tmp_path)) == 1
