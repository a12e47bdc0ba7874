"""finevar: how fine-tuning hyperparameters move a classifier's metrics, and how sure one can be.

Packages, each importing only from those before it (`make lint` holds them to it; pyproject.toml has the contracts):
errors, reasons, files, metrics; jobs; study; columns, tables; data; models and words; statistics and results;
evaluation; training; analyses and found; planning and figures; report; commands.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent
ROOT = PACKAGE.parents[1]  # of the repository

# Key of the config.json of a converted model whose code is that of transformers; it says how its batches are laid out.
LAYOUT = "finevar_layout"

# Raised with every change that changes what a module computes. Each is a param of the rules that run the module, since
# Snakemake does not see edits of imported code: so exactly the jobs that it concerns run again.
ENGINES = {
    "cards": "5",
    "runs": "1",
    "model": "2",
    "corpus": "4",
    "encoding": "3",
    "data_check": "3",
    "training": "5",
    "evaluation": "5",
    "metrics": "2",
    "aggregation": "7",
    "regression": "12",
    "report": "14",
    "design_card": "7",
}
