"""finevar: how fine-tuning hyperparameters move a classifier's metrics, and how sure one can be.

Modules, lowest first; a module imports only from those before it: errors, files, jobs, stall, endings, memory, warm,
launch, finished; slurm, doctor; scores, coding, consistency, schema_values, schemas, claim_files, designs,
content, found_config, config, identity, design; packages, encoding, tokenization, conversion; records, run_metrics,
tables, sources, found_lines, found_values, found_cards, found_sources; corpus; packing, dropout, kernels, attention,
encoder, vocabulary, optimiser, state, keeping, randomness, checkpoint, machine, padded, probe, evaluation, training,
timing, pilot; aggregation, predictions, covariance, gates, regression, verdicts, ladder, checks, slopes, optimum,
noise, baselines, sensitivity, readings, anova, ledger, legendre, variability, failures, tuning, robustness,
calibration, paired, prediction_analyses, analyses, pareto, disagreements, tradeoffs; power, forecast, variants;
formatting, status, found_choice, found_gates, found_metrics, pooling, beside, exported, export, claims, wording,
findings, caveats, completeness, comparisons, drawing, charts, effects_chart, interplay_chart, variability_chart,
tuning_chart, tradeoffs_chart, calibration_chart, planes, report_tables, groups, analysis_tables, sections, summary,
explorer, variability_section, claims_section, failures_section, tuning_section, robustness_section,
conflicts_section, tradeoffs_section, reliability_groups, calibration_section, paired_section, found_section,
leftovers, report, paper, analysis_jobs, found_jobs, figure_jobs, report_jobs; card_facts, card_sections, card_power,
design_card.

What a dry run imports (errors to endings, scores to design, leftovers) never imports torch, transformers or pandas.
"""

# Raised with every change that changes what a module computes. Each is a param of the rules that run the module, since
# Snakemake does not see edits of imported code: so exactly the jobs that it concerns run again.
ENGINES = {
    "cards": "1",
    "model": "2",
    "corpus": "2",
    "encoding": "3",
    "training": "4",
    "evaluation": "4",
    "metrics": "1",
    "aggregation": "4",
    "regression": "3",
    "report": "3",
    "design_card": "1",
}
