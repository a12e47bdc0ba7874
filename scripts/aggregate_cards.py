"""Choose the model cards that can be compared; in: a row per card; out: a study's runs, all cards, the gates."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.found_jobs.aggregate_cards", snakemake)
