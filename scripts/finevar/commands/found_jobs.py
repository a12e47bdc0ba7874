"""The work of the rules that choose and compare found models, from their input files to their output files."""

from __future__ import annotations

import pyarrow as pa

from finevar.columns import CARDS, LEARNING_CURVES, MODEL_CARDS
from finevar.errors import InputError
from finevar.found.beside import beside_rows
from finevar.found.choice import Question
from finevar.found.gates import SET_ASIDE, STOPPED, judge_cards
from finevar.found.listed import account, baseline_rows, listed_runs, listing_rows
from finevar.found.metrics import baseline_row, found_runs
from finevar.found.pooling import pooling_rows
from finevar.jobs.log import FOUND, LOGGER, Job
from finevar.parquet import read_table, write_table
from finevar.results.study_tables import as_table, write_csv, write_tables
from finevar.study.identity import cards_identity, require_planned, runs_identity
from finevar.study.listed_runs import read_runs
from finevar.tables import TABLES, Rows, as_rows
from finevar.words.formatting import counted


def aggregate_cards(job: Job) -> None:
    """Read model cards, choose those that can be compared and write them as a study's runs."""
    from finevar.found.sources import read_cards  # with the Hub's client, which no other analysis needs

    baseline, study = job.params.baseline, job.wildcards.study
    read_cards(job.params.cards, str(job.input.files), job.output.read)
    require_planned(cards_identity(job.params.cards), job.params.content, "the model cards")
    found = read_table(job.output.read, MODEL_CARDS).to_pandas()
    cards, gates, stop = judge_cards(found, Question.of(job.params))
    runs = found_runs(cards, baseline, stop)
    if not len(runs):
        findings = [gate["finding"] for gate in gates if gate["verdict"] in (SET_ASIDE, STOPPED)]
        raise InputError(
            f"study {study}: cards",
            found=f"none that can be compared. {' '.join(findings)}",
            allowed="one card or more",
            remedy="results/logs/aggregate_cards has each card's reason; change task, base_models or method of cards, "
            "or widen the levels.",
        )
    write_tables({"found_gates": gates}, job.output.gates)
    table = pa.Table.from_pylist(as_rows(cards), schema=CARDS)
    write_table(table, job.output.cards)
    write_csv(table, job.output.cards_csv)
    write_table(runs, job.output.metrics)
    write_table(baseline_row(baseline["name"], baseline), job.output.baseline)
    write_table(LEARNING_CURVES.empty_table(), job.output.curves)  # cards hold no steps
    for gate in gates:
        LOGGER.info("%s, %s: %s %s", gate["gate"], gate["verdict"], gate["finding"], gate["consequence"])
    LOGGER.log(FOUND, "%d of %s can be compared.", len(runs), counted(len(cards), "card"))
    if stop:
        LOGGER.log(FOUND, "No p-value: %s", stop)


def aggregate_runs(job: Job) -> None:
    """Read the runs that a file lists; write those that are used as a study's runs, and what every row is."""
    config, name = job.params.config, f"{job.wildcards.study}-baseline"
    runs = read_runs(config)
    require_planned(runs_identity(config), job.params.content, config["runs"]["file"])
    write_tables({"listing": listing_rows(runs)}, job.output.listing)
    write_table(listed_runs(runs, config), job.output.metrics)
    write_table(baseline_rows(runs, config, name), job.output.baseline)
    write_table(LEARNING_CURVES.empty_table(), job.output.curves)  # a table of runs holds no steps
    for run in runs:
        if run.reason:
            LOGGER.info("row %d, %s: %s", run.line, run.run_id, run.reason)
    LOGGER.log(FOUND, "%s", account(runs))


def compare_pooling(job: Job) -> dict[str, Rows]:
    """Regress the same cards pooled, with data-set effects and with clustered errors."""
    cards = read_table(job.input.cards, MODEL_CARDS).to_pandas()
    return {"pooling": pooling_rows(cards, Question.of(job.params), job.params.analysis["confidence"])}


def compare_studies(job: Job, claims: Rows) -> dict[str, Rows]:
    """Compare the claims as found models support them with those of a study that trained, where it has results."""
    schema = TABLES["claims"].schema
    other = read_table(job.input.designed, schema) if job.input.designed else None
    return {"beside": beside_rows(as_table("claims", claims), other, job.wildcards.study, job.params.beside)}
