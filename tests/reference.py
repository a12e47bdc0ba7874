"""A study of known shape for the comparison with R, and what R makes of it."""

from __future__ import annotations

import functools
import itertools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from finevar.study.coding import Coding

SCRIPT = Path(__file__).with_name("reference.R")
LIBRARIES = ("sandwich", "clubSandwich", "emmeans", "lme4", "brglm2")
PACKAGES = "r-base-core r-cran-sandwich r-cran-clubsandwich r-cran-emmeans r-cran-lme4 r-cran-brglm2"
CODINGS = {
    "learning_rate": Coding((1e-5, 2e-5, 4e-5, 8e-5), "log2"),
    "batch_size": Coding((8, 16, 32, 64), "log2"),
    "epochs": Coding((1, 2, 3, 4), "identity"),
}
SHORT = {"learning_rate": "lr", "batch_size": "bs", "epochs": "ep"}
PLACE = {"learning_rate": 3e-5, "batch_size": 32, "epochs": 3}  # where slopes are read; on no level of learning rate


@functools.cache
def missing_r() -> str | None:
    """Return a sentence on what to install where R or one of its packages is missing."""
    test = "; ".join(f"loadNamespace('{name}')" for name in LIBRARIES)
    if shutil.which("Rscript") and not subprocess.run(["Rscript", "-e", test], capture_output=True).returncode:
        return None
    return f"R or one of its packages {', '.join(LIBRARIES)} is missing: run 'apt-get install {PACKAGES}' as root."


def reference_runs() -> pd.DataFrame:
    """Return 384 runs whose loss has known terms, a seed's shift, and noise that grows with epochs."""
    draw = np.random.default_rng(6)
    shifts = draw.normal(scale=0.02, size=3)
    points = itertools.product(*(coding.levels for coding in CODINGS.values()))
    keys = [(*levels, dataset, seed) for levels in points for dataset in "ab" for seed in range(3)]
    runs = pd.DataFrame(keys, columns=[*CODINGS, "dataset", "seed"])
    x = {name: coding.coded(runs[name]) for name, coding in CODINGS.items()}
    surface = 0.5 + 0.06 * x["learning_rate"] - 0.02 * x["batch_size"] + 0.03 * x["epochs"]
    surface += 0.02 * x["learning_rate"] * x["epochs"] - 0.015 * x["batch_size"] * x["epochs"]
    surface += 0.04 * x["learning_rate"] ** 2 + 0.01 * x["epochs"] ** 2 + 0.03 * x["learning_rate"] ** 3
    blocks = shifts[runs["seed"]] + 0.1 * (runs["dataset"] == "b")
    noise = draw.normal(scale=0.01 * (2 + x["epochs"]))
    point_ids = ["-".join(map(str, key[:3])) for key in keys]
    names = [f"{point}-{dataset}-{seed}" for point, (*_, dataset, seed) in zip(point_ids, keys, strict=True)]
    trajectory = runs.groupby(["learning_rate", "batch_size", "dataset", "seed"]).ngroup()
    fitted = {"run_id": names, "trajectory_id": names, "point_id": point_ids, "status": "ok"}
    return runs.assign(
        **{SHORT[name]: x[name] for name in x}, loss=surface + blocks + noise, trajectory=trajectory, **fitted
    )


@functools.cache
def reference_values(path: Path) -> dict[str, float]:
    """Return R's values of the runs in a CSV file, by quantity.name."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "values.csv"
        command = ["Rscript", str(SCRIPT), str(path), str(out), *(f"{level:.17g}" for level in PLACE.values())]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{SCRIPT.name} failed on {path}:\n{done.stderr}")
        values = pd.read_csv(out)
    return dict(zip(values["quantity"] + "." + values["name"], values["value"], strict=True))
