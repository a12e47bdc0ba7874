"""What follows from the runs' predictions, as tidy rows: calibration, errors, and runs against the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from finevar.analyses.calibration import calibration_effect_rows, calibration_rows, reliability_rows
from finevar.analyses.errors import Corpus, error_rows
from finevar.analyses.fits import FittedStudy
from finevar.analyses.paired import COMPARED, paired_point_rows, paired_rows
from finevar.analyses.run_errors import run_error_rows
from finevar.results.predictions import read_predictions, run_file
from finevar.study.confirmation import BASELINE
from finevar.study.kinds import TRAINED
from finevar.study.paths import RUNS
from finevar.tables import TABLES, Rows, baseline_keys, kind_of_runs

NO_CORPORA: Mapping[str, Corpus] = {}
TABLES_OF_PREDICTIONS = (
    "calibration", "calibration_effects", "reliability", "paired", "paired_points",
    "confusion", "classes", "sentence_counts", "sentences", "run_confusion", "run_sentences",
)  # fmt: skip


def compare_predictions(
    study: FittedStudy,
    baselines: Sequence[str | Path],
    root: str | Path = RUNS,
    *,
    corpora: Mapping[str, Corpus] = NO_CORPORA,
    shown: int = 0,
) -> dict[str, Rows]:
    """Return rows of TABLES_OF_PREDICTIONS.

    Runs that finished have predictions below `root`. baselines: the baseline's predictions, a file a data set in a
    folder of its name. corpora: what is known of the sentences, by data set. shown: the most sentences of a kind that
    are listed. Only runs that were trained here have predictions, and rows.
    """
    if kind_of_runs(study.metrics) != TRAINED:
        return {name: [] for name in TABLES_OF_PREDICTIONS}
    models = models_of(study.metrics, baselines, root)
    found = {
        str(dataset): read_predictions(who["path"].tolist()) for dataset, who in models.groupby("dataset", sort=False)
    }
    calibration = calibration_rows(models, found)
    parts = pd.DataFrame(calibration, columns=list(TABLES["calibration"].columns))
    return {
        "calibration": calibration,
        "calibration_effects": calibration_effect_rows(study, parts),
        "reliability": reliability_rows(parts, found, study.plan.confidence),
        "paired": paired_rows(models, found),
        "paired_points": paired_point_rows(models, found, study.of_responses(COMPARED)),
        **error_rows(models, found, corpora, shown),
        **run_error_rows(models, found, corpora, shown),
    }


def models_of(metrics: pd.DataFrame, baselines: Sequence[str | Path], root: str | Path) -> pd.DataFrame:
    """Return the models that have predictions, with their files: by data set the baselines, then the finished runs.

    Where there are several baselines, each is a point by its own id, and runs have that of their own.
    """
    kept = list(dict.fromkeys(["run_id", "dataset", "point_id", "seed", *baseline_keys(metrics)]))
    runs = metrics.loc[metrics["status"] == "ok", kept]
    files = [run_file(root, *who) for who in zip(runs["dataset"], runs["run_id"], strict=True)]
    named = [(path.parts[-3], path.parts[-2], path) for path in map(Path, baselines)]
    frozen = pd.DataFrame(named, columns=["run_id", "dataset", "path"]).assign(role="baseline")
    frozen["point_id"] = frozen["run_id"] if "baseline_id" in runs else BASELINE
    models = pd.concat([frozen, runs.assign(role="run", path=files)], ignore_index=True)
    return models.sort_values("dataset", kind="stable", ignore_index=True)
