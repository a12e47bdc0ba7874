"""Fit the response surfaces; in: the study's metrics; out: coefficients, effects, fits, ladder, profiles, surface."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.analysis_jobs.fit_regressions", snakemake)
