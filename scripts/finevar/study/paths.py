"""Where everything lies: the only place that knows the folders below results/, beside the rules' own patterns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from finevar.jobs.cache import kept_folder

PATTERNS = {  # of the folders that rules fill, as the rules have them
    "model": "results/models/{model}",
    "source": "results/sources/{source}",
    "data": "results/data/{data}",
    "encoded": "results/encoded/{data}--{model}",
    "baseline": "results/baselines/{baseline}",
    "run": "results/runs/{dataset}/{run}",
    "confirmation": "results/confirmations/{dataset}/{run}",
    "study": "results/{study}",
}
RESULTS, RUNS, LOGS = Path("results"), Path("results/runs"), Path("results/logs")
CONTENT = RESULTS / ".content"  # what local files are known to hold
PARTS = {"train": "training", "eval": "evaluation", "held_back": "held-back"}  # of a data set, in files and in words
PROGRAM = RESULTS / "vega.js"  # draws figures in a browser
FAILED = Path(".snakemake/jobs-failed")  # names the interim report to make, where jobs failed and some runs are done
KEEPER = {"metrics.parquet": "evaluation", "predictions.parquet": "evaluation", "training.parquet": "training"}


class Run(Protocol):
    """What places a run: its data set and id."""

    dataset: str
    run_id: str


def place(kind: str, **wildcards: str) -> Path:
    """Return the folder of a pattern."""
    return Path(PATTERNS[kind].format(**wildcards))


def folder_of(kind: str) -> Path:
    """Return the folder that all of a kind lie in."""
    return Path(PATTERNS[kind].partition("/{")[0])


def run_folder(run: Run) -> Path:
    """Return a run's folder."""
    return place("run", dataset=run.dataset, run=run.run_id)


def there(folder: Path, file: str) -> Path | None:
    """Return a run's file, its kept one where its submission failed afterwards; None if there is neither."""
    places = (folder / file, kept_folder(folder, KEEPER[file]) / file)
    return next((path for path in places if path.exists()), None)


def finished_files(runs: Iterable[Run], file: str) -> dict[str, Path]:
    """Return one file of every run that is done, by its id, in the order of the runs."""
    done = ((run.run_id, folder) for run in runs if there(folder := run_folder(run), "metrics.parquet"))
    found = ((run_id, there(folder, file)) for run_id, folder in done)
    return {run_id: path for run_id, path in found if path}


def shorter_state(run: Run, shorter: Run) -> Path | None:
    """Return the state of the shorter run that a run's training is to begin with; None where it begins with its data.

    It does where it is done, or where the shorter one is and its state is gone: to train that one once more would take
    longer than to start again, and gives the same.
    """
    folder = run_folder(shorter)
    state = folder / "state.safetensors"
    gone = (folder / "training.json").exists() and not state.exists()
    return None if gone or (run_folder(run) / "metrics.parquet").exists() else state


def table_file(study: str, name: str) -> Path:
    """Return an analysis table's file."""
    return place("study", study=study) / "analysis" / f"{name}.parquet"


def confirmation_file(study: str) -> Path:
    """Return the file that lists what is confirmed of a study."""
    return place("study", study=study) / "confirm.csv"


def report_file(study: str) -> Path:
    """Return a study's report."""
    return place("study", study=study) / "report.html"


def interim(study: str) -> str:
    """Return the name of a study under way, as its reports are filed."""
    return f"{study}/interim"
