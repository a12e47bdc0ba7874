from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# A config named on the command line replaces the default study; Snakemake by itself would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


# A study's runs are trained, or found: either way they become results/<study>/metrics.parquet.
if TRAINS:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/evaluate.smk"
    include: "workflow/rules/aggregate.smk"

else:

    include: "workflow/rules/found.smk"


include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"


if TRAINS:

    include: "workflow/rules/export.smk"
    include: "workflow/rules/design_card.smk"


onerror:
    if TRAINS:
        Path(".snakemake/jobs-failed").touch()
        print(told_after_failure())


# On the login node: compute nodes often have no way out, and the rest is too short to queue for.
localrules:
    all,
    interim,
    fetch_model,
    fetch_data,
    fetch_cards,
    read_cards,
    write_design,
    aggregate_metrics,
    aggregate_finished,
    aggregate_cards,
    compare_pooling,
    compare_studies,
    fit_regressions,
    check_regressions,
    analyse_surface,
    compare_baselines,
    compare_predictions,
    analyse_variability,
    analyse_tradeoffs,
    judge_claims,
    plot_effects,
    plot_coefficients,
    plot_main_effects,
    plot_interplay,
    plot_surface,
    plot_learning_curves,
    plot_calibration,
    plot_variability,
    plot_tradeoffs,
    plot_tuning_curves,
    write_paper,
    design_card,
    render_report,


# All that the report was made of, too: of files that are missing (damaged and set aside, or deleted) Snakemake makes
# only those that it is asked for, as long as what was made of them is there.
rule all:
    default_target: True
    input:
        get_targets(),
        expand(rules.render_report.input, study=STUDY.config["study"]),
