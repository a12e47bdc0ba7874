"""Choose what to confirm: the recommended setting, its nearest rivals and the baseline's own, with fresh seeds.

usage: python -m finevar.commands.confirm [--configfile FILE]

Writes results/<study>/confirm.csv, whose runs are part of the study from then on. `make confirm` calls it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from finevar.analyses.recommended import recommended_point
from finevar.commands.status import DEFAULT_CONFIG, check_trained, read_study
from finevar.errors import InputError
from finevar.reasons import Next
from finevar.results.study_tables import read_analysis
from finevar.study.confirmation import BASELINE, RECOMMENDED, RIVAL, fresh_seeds, write_plan
from finevar.study.design import Study, baseline_levels
from finevar.study.designs import Point
from finevar.study.paths import table_file
from finevar.words.formatting import counted, joined, settings_list


def settings_to_confirm(study: Study) -> Iterator[tuple[str, Point]]:
    """Yield the settings, each once and with its role; raise InputError where the analysis recommends none."""
    name = study.config["study"]
    check_trained(study, "Confirm the settings in a study with `sweep.seeds`.")
    advised = read_analysis(table_file(name, "next_runs"))
    chosen = advised.loc[advised["code"] == Next.CONFIRM, "point_ids"]
    if chosen.empty:
        raise InputError(
            str(table_file(name, "recommendation")),
            found="no recommended setting",
            allowed="a study whose report recommends a setting",
            remedy="See why under Answer in the report.",
        )
    factors, own = list(study.config["sweep"]["factors"]), baseline_levels(study.config)
    best = recommended_point({"recommendation": read_analysis(table_file(name, "recommendation"))})
    levels = {run.point_id: {factor: run.record[factor] for factor in factors} for run in study.runs.values()}
    for point in chosen.iloc[0].split():
        at = levels.get(point, own)  # the baseline's own need not be among the study's
        role = BASELINE if at == own else RIVAL
        yield RECOMMENDED if point == best else role, at


def main(arguments: Sequence[str]) -> int:
    """Write the file for the study that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="finevar.commands.confirm", description="Choose the settings to confirm.")
    parser.add_argument("--configfile", type=Path, default=Path(DEFAULT_CONFIG), help=f"default: {DEFAULT_CONFIG}")
    options = parser.parse_args(arguments)
    try:
        study = read_study(options.configfile)
        settings = list(settings_to_confirm(study))
        path = write_plan(study, settings)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    seeds = fresh_seeds(study.config["sweep"])
    print(f"To confirm with {counted(len(seeds), 'fresh seed')} ({joined(list(map(str, seeds)))}): {path}")
    for role, point in settings:
        print(f"  {role}: {settings_list(point)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
