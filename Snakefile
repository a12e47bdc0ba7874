from snakemake.utils import min_version

min_version("9.0")

# A config named on the command line replaces the default study; Snakemake by itself would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"


# On the login node: compute nodes often have no way out, and the rest is too small to queue for.
localrules:
    all,
    fetch_model,
    fetch_data,
    write_design,
    aggregate_metrics,


rule all:
    default_target: True
    input:
        get_targets(),
