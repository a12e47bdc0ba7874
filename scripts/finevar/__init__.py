"""finevar: how fine-tuning hyperparameters move a classifier's metrics, and how sure one can be.

Modules in the order that data flow: consistency, config, coding, design, sources, conversion, corpus, encoding,
encoder, checkpoint, training, evaluation, records, aggregation, regression, wording, charts, report. Lower ones never
import higher ones, and what a dry run imports (consistency, config, coding, design) never imports torch.
"""

# Raised with every change that changes what a module computes. Each is a param of the rules that run the module, since
# Snakemake does not see edits of imported code: so exactly the jobs that it concerns run again.
ENGINES = {
    "corpus": "1",
    "encoding": "1",
    "training": "1",
    "evaluation": "1",
    "aggregation": "1",
    "regression": "1",
    "report": "1",
}
