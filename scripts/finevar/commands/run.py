"""Run one rule's work by hand, in this process: under a debugger or a profiler, or on files of one's own.

usage: python -m finevar.commands.run RULE --study STUDY --into FOLDER [--threads N] [NAME=FILE ...]

A job of a rule after the runs leaves beside its log what it was given, results/logs/RULE/STUDY.json. This runs it once
more: on the same inputs, but for those that NAME=FILE replaces (metrics=mine.parquet), and writes below FOLDER.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.files import read_json
from finevar.jobs.worker import perform
from finevar.study.paths import LOGS

Files = tuple[list[str], dict[str, Any]]  # all, and those with a name


def main(arguments: Sequence[str]) -> int:
    """Run the job that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="finevar.commands.run", description="Run one rule's work by hand.")
    parser.add_argument("rule")
    parser.add_argument("--study", required=True, help="its name; NAME/interim for the runs so far")
    parser.add_argument("--into", required=True, type=Path, metavar="FOLDER", help="for the outputs")
    parser.add_argument("--threads", type=int, default=1, help="1 keeps all in this process (default)")
    parser.add_argument("inputs", nargs="*", metavar="NAME=FILE", help="inputs that replace the study's own")
    options = parser.parse_intermixed_args(arguments)
    try:
        begun = read_job(options.rule, options.study)
        job = begun["job"] | {"threads": options.threads, "output": moved(begun["job"]["output"], options.into)}
        job["input"] = replaced(job["input"], dict(pair.partition("=")[::2] for pair in options.inputs))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    for path in map(Path, job["output"][0]):
        path.parent.mkdir(parents=True, exist_ok=True)
    perform(begun["function"], {"job": job}, str(options.into / f"{options.rule}.log"))
    print(f"{len(job['output'][0])} files below {options.into}")
    return 0


def read_job(rule: str, study: str) -> dict[str, Any]:
    """Return what a rule's last job was given; raise InputError where there was none."""
    path = LOGS / rule / f"{study}.json"
    if not path.exists():
        known = sorted(str(found.relative_to(LOGS).with_suffix("")) for found in LOGS.glob("*/**/*.json"))
        raise InputError(
            f"{rule} --study {study}",
            found=f"no {path}",
            allowed=f"a job that has been started: {', '.join(known) or 'none so far'}",
            remedy=f"Have Snakemake start it once: snakemake --cores 1 --until {rule}.",
        )
    return read_json(path)


def moved(files: Files, folder: Path) -> Files:
    """Return a rule's outputs as they lie below another folder."""

    def move(path: Any) -> Any:
        return [move(one) for one in path] if isinstance(path, list) else str(folder / path)

    paths, named = files
    return move(paths), {name: move(path) for name, path in named.items()}


def replaced(files: Files, others: Mapping[str, str]) -> Files:
    """Return a rule's inputs, those of some names replaced by one file each."""
    paths, named = files
    if unknown := sorted(set(others) - set(named)):
        raise InputError(
            "NAME=FILE", found=", ".join(unknown), allowed=", ".join(named), remedy="Name one of the rule's inputs."
        )
    old = {path for name in others for path in (named[name] if isinstance(named[name], list) else [named[name]])}
    new = {name: [path] if isinstance(named[name], list) else path for name, path in others.items()}
    return [*(path for path in paths if path not in old), *others.values()], named | new


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
