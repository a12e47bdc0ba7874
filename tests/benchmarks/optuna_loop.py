"""What finevar is compared with: one process that loops a tuned Trainer over a grid with Optuna: it imports once."""

from __future__ import annotations

import json
import sys

import optuna
from tests.benchmarks.trainer_script import fine_tune


def main() -> None:
    """Run the jobs of a JSON list, each a trial of Optuna's grid sampler, and print a line of JSON for each."""
    jobs = json.loads(sys.argv[1])
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        job = jobs[trial.suggest_int("job", 0, len(jobs) - 1)]
        found = fine_tune(**job)
        print("RESULT " + json.dumps({"job": trial.params["job"]} | found), flush=True)
        return found["accuracy"]

    sampler = optuna.samplers.GridSampler({"job": list(range(len(jobs)))}, seed=0)
    optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=len(jobs))


if __name__ == "__main__":
    main()
