"""finevar: how fine-tuning hyperparameters move a classifier's metrics, and how sure one can be.

Modules, lowest first; a module imports only from those before it:
errors, files, jobs, memory, warm, launch, finished; slurm, doctor; coding, consistency, config, design; packages,
conversion, sources; records, tables, corpus, encoding; packing, dropout, attention, encoder, vocabulary, optimiser,
state, keeping, randomness, checkpoint, machine, probe, training, evaluation; aggregation, covariance, gates,
regression, verdicts, ladder, checks, slopes, optimum, baselines, sensitivity, readings, analyses; formatting, wording,
findings, caveats, completeness, comparisons, drawing, charts, interplay_chart, planes, report_tables, analysis_tables,
sections, report.

What a dry run imports (errors, jobs, coding, consistency, config, design) never imports torch.
"""

# Raised with every change that changes what a module computes. Each is a param of the rules that run the module, since
# Snakemake does not see edits of imported code: so exactly the jobs that it concerns run again.
ENGINES = {
    "corpus": "2",
    "encoding": "2",
    "training": "3",
    "evaluation": "3",
    "aggregation": "3",
    "regression": "2",
    "report": "1",
}
