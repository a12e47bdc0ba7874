"""Write what the study costs and can find; in: pilot, what the model sees, metrics of what is done; out: one HTML file.

The essentials are printed, too.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from finevar.files import read_facts, write_bytes
from finevar.jobs.log import JobLog
from finevar.planning.design_card import gather_design_facts
from finevar.report.design_card import design_card_text, render_design_card
from finevar.results.collapse import mark_collapsed
from finevar.results.run_metrics import Positives, read_run_metrics
from finevar.study.classes import positives_of
from finevar.study.design import design_points, plan_runs
from finevar.study.settings import MODEL


def read_finished(params: Any, positives: Positives) -> pd.DataFrame:
    """Return the metrics of the runs that are done, collapsed ones marked; no columns where none is."""
    rows, own = read_run_metrics(params.finished, positives), None
    if models := params.get("models"):
        runs = plan_runs(params.config, design_points(params.config))
        own = {name: models[run.settings[MODEL]] for name, run in runs.items()}
    places = {row["run_id"]: Path(path) for row, path in zip(rows, params.finished, strict=True)}
    return pd.DataFrame(mark_collapsed(rows, places, params.baselines, own))


with JobLog(snakemake.log[0]):
    params, pilot = snakemake.params, read_facts(snakemake.input.pilot)
    wanted = {name: params.config["datasets"][name].get("positive") for name in params.config["sweep"]["datasets"]}
    positives = positives_of(dict(zip(wanted, map(read_facts, snakemake.input.facts), strict=True)), wanted)
    baselines = pd.DataFrame(read_run_metrics(params.baselines, positives))
    finished = read_finished(params, positives)
    facts = gather_design_facts(params.config, pilot, finished, baselines, read_facts(snakemake.input.data))
    write_bytes(render_design_card(facts).encode(), snakemake.output.html)
    print(design_card_text(facts, snakemake.output.html), flush=True)
