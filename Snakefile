from snakemake.utils import min_version

min_version("9.0")

# A config named on the command line replaces the default study; Snakemake by itself would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


# A study's runs are trained, found, or listed in a file: in each case they become results/<study>/metrics.parquet.
if TRAINS:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/evaluate.smk"
    include: "workflow/rules/aggregate.smk"

elif KIND == FOUND:

    include: "workflow/rules/found.smk"

else:

    include: "workflow/rules/runs.smk"


include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"


if TRAINS:

    include: "workflow/rules/export.smk"
    include: "workflow/rules/design_card.smk"
    include: "workflow/rules/confirm.smk"


localrules:
    all,


onerror:
    if TRAINS:
        done = len(get_finished_files("metrics.parquet"))
        print(after_failure(done, len(STUDY.runs), paths.LOGS, STARTED))
        if done:
            paths.FAILED.write_text(str(paths.report_file(paths.interim(NAME))))


# All that the report was made of, too: of files that are missing (damaged and quarantined, or deleted) Snakemake makes
# only those that it is asked for, as long as what was made of them is there.
rule all:
    default_target: True
    input:
        get_targets(),
        expand([files for files in rules.render_report.input if not callable(files)], study=NAME),
