import contextlib
import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient, flag

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from finevar import ENGINES
from finevar.errors import InputError
from finevar.figures.names import BESIDE, figure_names, kind_of, kinds_of
from finevar.jobs.endings import run_ending
from finevar.jobs.log import check_writable
from finevar.study import paths
from finevar.study.config import read_config
from finevar.study.confirmation import evaluation_folder, fresh_seeds, planned_runs
from finevar.study.consistency import PLACES
from finevar.study.content import parts_of
from finevar.study.design import any_of, baseline_levels, continues_baseline, design_rows, fit_params
from finevar.study.design import own_baseline_levels, plan_study
from finevar.study.identity import OF_METRICS, cards_identity, digest, local_cards, local_model_files, runs_identity
from finevar.study.identity import model_source
from finevar.study.kinds import FOUND, TRAINED, study_kind
from finevar.study.settings import MODEL, of_training, start_of
from finevar.study.yaml_files import load_config
from finevar.tables import ADVICE, page_tables, tables_of
from finevar.words.next_start import after_failure

SCRIPTS_DATE = 946684800  # 2000-01-01

try:
    check_writable(paths.RESULTS)
    for file in workflow.configfiles:  # of which Snakemake takes a key's last value where it stands twice
        load_config(Path(file))
    STUDY = plan_study(read_config(config))
    KIND = study_kind(STUDY.config)
    CONFIRMED = planned_runs(STUDY) if KIND == TRAINED else {}
except InputError as error:
    raise WorkflowError(str(error)) from None

STARTED = time.time()
TRAINS = KIND == TRAINED
NAME, FOLDER = STUDY.config["study"], paths.place("study", study=STUDY.config["study"])
ANALYSED = fit_params(STUDY)
SHOWS_SENTENCES = STUDY.config["analysis"]["show_sentences"]
BY_EPOCH = KIND == TRAINED and STUDY.config["analysis"]["evaluate_each_epoch"]
KINDS = kinds_of(factors=len(ANALYSED["factors"]), study=KIND, by_epoch=BY_EPOCH)  # the study's figures
RESULTS_CONFIG = {key: part for key, part in STUDY.config.items() if key not in ("keep_weights", "gpus_per_run", "gpu")}


# Results outlive code. Snakemake reruns what is older than its script, but a clone or a checkout dates every script as
# of now, which says nothing of what a job computes: ENGINES says that, as a param of each rule. So scripts have one old
# date. In a clone that may not be written to they keep theirs, and jobs that run again give back what they had finished.
for entry in Path(workflow.basedir, "scripts").glob("*.py"):
    if entry.stat().st_mtime != SCRIPTS_DATE:
        with contextlib.suppress(OSError):
            os.utime(entry, (SCRIPTS_DATE, SCRIPTS_DATE))


wildcard_constraints:
    study=any_of([NAME, paths.interim(NAME)]),
    source=any_of(list(STUDY.source_ids.values())),
    model=any_of(list(STUDY.model_ids.values())),
    data=any_of(list(STUDY.dataset_ids.values())),
    dataset=any_of(list(STUDY.dataset_ids)),
    baseline=any_of(list(STUDY.baseline_ids.values())),
    run=r"lr[^/]+-seed\d+(_\d+)*-[0-9a-f]{8}",


def named(ids, given):
    """Return the name that an id was made for."""
    return next(name for name, made in ids.items() if made == given)


def known_by_content(path):
    """Mark a file of the user's own as an input whose name and date say nothing: its content is part of an id or a param.

    Snakemake records the same name for wherever it lies, by the flag with which it does so for files that it fetches.
    """
    return flag(ancient(str(path)), "sourcecache_entry", "known by content")


def source_of(wildcards):
    """Return the config of the source that a wildcard names, itself or by its data set or else its model."""
    if wildcards.get("data"):
        name = dataset_of(wildcards)["source"]
    elif wildcards.get("source"):
        name = named(STUDY.source_ids, wildcards.source)
    else:
        return model_source(STUDY.config, model_of(wildcards))
    return STUDY.config["sources"][name]


def model_of(wildcards):
    """Return the name of the model that a wildcard names, or that the baseline or run which it names starts from."""
    if wildcards.get("model"):
        return named(STUDY.model_ids, wildcards.model)
    if wildcards.get("baseline"):
        return named(STUDY.baseline_ids, wildcards.baseline)
    return start_of(get_run(wildcards).settings, STUDY.config)


def get_source(wildcards):
    """Return the config of a source without the place of a local one."""
    source = source_of(wildcards)
    return {key: value for key, value in source.items() if key != "path" or source["kind"] != "local"}


def get_local_model(wildcards):
    """Return the model's own files where it lies on this machine."""
    source = source_of(wildcards)
    return list(map(known_by_content, local_model_files(source))) if source["kind"] == "local" else []


def get_design(wildcards):
    """Return a digest of the study's runs, which a table may list."""
    return digest(design_rows(STUDY.runs.values()))


def dataset_of(wildcards):
    """Return the config of the data set that a wildcard names."""
    return STUDY.config["datasets"][named(STUDY.dataset_ids, wildcards.data)]


def get_dataset(wildcards):
    """Return what decides the data that a wildcard names: no places of local files, and nothing of metrics alone."""
    places = ("source", *PLACES) if source_of(wildcards)["kind"] == "local" else ()
    return {key: value for key, value in dataset_of(wildcards).items() if key not in (*places, *OF_METRICS)}


def get_positives():
    """Return the key `positive` of each data set of the sweep; a param, as no data and no run depend on it."""
    return {name: STUDY.config["datasets"][name].get("positive") for name in STUDY.config["sweep"]["datasets"]}


def get_dataset_source(wildcards):
    """Return the folder that a data set's files were fetched to; none where the user has them."""
    fetched = STUDY.source_ids.get(dataset_of(wildcards)["source"])
    return str(paths.place("source", source=fetched)) if fetched else []


def get_local_files(key):
    """Return the function that gives a data set's own files of a key where they lie on this machine."""

    def get_files(wildcards):
        source, names = source_of(wildcards), dataset_of(wildcards).get(key, [])
        return list(map(known_by_content, parts_of(Path(source["path"]), names))) if source["kind"] == "local" else []

    return get_files


def get_prepared(name, file):
    """Return a prepared file of a data set, by its name."""
    return paths.place("data", data=STUDY.dataset_ids[name]) / file


def get_parts(wildcards):
    """Return the parts of a data set that hold sentences; none are held back unless its config says so."""
    empty = [] if "confirm_examples" in dataset_of(wildcards) else ["held_back"]
    folder = paths.place("data", data=wildcards.data)
    return [folder / f"{part}.parquet" for part in paths.PARTS if part not in empty]


def get_evaluated(file):
    """Return one prepared file of every data set of the sweep; a study that trains nothing has none."""
    return [get_prepared(name, file) for name in STUDY.config["sweep"]["datasets"]] if TRAINS else []


def get_encoded(name, part, model):
    """Return the encoded part (train or eval) of a data set, by its name and the model's."""
    return paths.place("encoded", data=STUDY.dataset_ids[name], model=STUDY.model_ids[model]) / f"{part}.safetensors"


def encoded_of(part):
    """Return the function that gives an encoded part of the data set, for the model, that wildcards name."""
    return lambda wildcards: get_encoded(wildcards.dataset, part, model_of(wildcards))


def get_all_encoded(part):
    """Return an encoded part of every data set of the sweep, for one model after the other."""
    return [get_encoded(name, part, model) for model in STUDY.model_ids for name in STUDY.config["sweep"]["datasets"]]


def get_pretrained(model):
    """Return the folder of a source model."""
    return paths.place("model", model=STUDY.model_ids[model])


def get_baseline(model):
    """Return the folder of a model's baseline."""
    return paths.place("baseline", baseline=STUDY.baseline_ids[model])


def get_baseline_model(model):
    """Return the folder of the weights of a model's baseline: trained here, or the source model's."""
    return get_baseline(model) / "model" if "dataset" in STUDY.config["baseline"] else get_pretrained(model)


def get_start(model):
    """Return the folder that every run of a model starts from: its baseline, or the source model."""
    return get_baseline_model(model) if continues_baseline(STUDY.config) else get_pretrained(model)


def get_head(start):
    """Return what the classes of a source model's head are; None where a model starts from a trained baseline."""
    return STUDY.config.get("head") if start in map(get_pretrained, STUDY.model_ids) else None


def by_model(get):
    """Return the function that gives what another one does of the model that wildcards name."""
    return lambda wildcards: get(model_of(wildcards))


def get_models():
    """Return the param that says, where the model is a factor, which baseline is each model's."""
    return {"models": STUDY.baseline_ids} if MODEL in ANALYSED["factors"] else {}


def get_run(wildcards):
    """Return the run that a wildcard names."""
    try:
        return (STUDY.runs | CONFIRMED)[wildcards.run]
    except KeyError:
        raise WorkflowError(f"run {wildcards.run} is not part of study {NAME}") from None


def get_begin(wildcards):
    """Return what a run's training begins with: the state of a shorter run that it goes on from, or its data alone.

    So that this choice, and a level in between that is added later, reruns nothing that is done, Snakemake is made to
    record the same name for either, by the flag with which it does so for files that it fetches.
    """
    shorter = STUDY.shorter.get(wildcards.run)
    state = paths.shorter_state(get_run(wildcards), STUDY.runs[shorter]) if shorter else None
    return flag(str(state or encoded_of("train")(wildcards)), "sourcecache_entry", "shorter-run-state")


def shared_state(path):
    """Return the output of a run's state at its end, which is wanted where longer runs may go on from it."""
    return temp(path) if STUDY.config["training"]["schedule"] == "constant" else []


def transient(path):
    """Mark weights as temporary unless the config keeps them."""
    return temp(path) if STUDY.config["keep_weights"] == "none" else path


def get_run_record(wildcards):
    """Return what identifies a run in its metrics file."""
    return of_training(get_run(wildcards).own_record)


def get_trained_baseline():
    """Return how every model's baseline is trained, as the config has it."""
    baseline = STUDY.config["baseline"]
    return baseline | {"settings": of_training(baseline["settings"])}


def get_baseline_record(wildcards):
    """Return what identifies the baseline in its metrics file."""
    baseline = get_trained_baseline()
    names = {"run_id": wildcards.baseline, "point_id": wildcards.baseline, "dataset": wildcards.dataset}
    return names | {"seed": baseline["seed"], **baseline["settings"]}


def get_baseline_summary(wildcards):
    """Return the summary of a baseline's training, if it is trained here."""
    return get_baseline(model_of(wildcards)) / "training.json" if "dataset" in STUDY.config["baseline"] else []


def get_run_files(file):
    """Return one file of every run, in the design's order."""
    return [str(paths.run_folder(run) / file) for run in STUDY.runs.values()]


def of_all_runs(file):
    """Return the function that gives one file of every run; of a study under way none."""
    return lambda wildcards: get_run_files(file) if wildcards.study == NAME else []


def get_finished_files(file):
    """Return one file of every run that is done, in the design's order."""
    return list(map(str, paths.finished_files(STUDY.runs.values(), file).values()))


def of_finished_runs(file):
    """Return the function that gives one file of every run of a study under way that is done; of a whole study none."""
    return lambda wildcards: get_finished_files(file) if wildcards.study != NAME else []


def get_endings(wildcards):
    """Return a digest of how the runs that are not done have ended, so that a new reason makes a new interim report."""
    if wildcards.study == NAME:
        return None
    done = paths.finished_files(STUDY.runs.values(), "metrics.parquet")
    endings = [run_ending(run.dataset, run.run_id, paths.LOGS) for name, run in STUDY.runs.items() if name not in done]
    return digest([[ending.code, ending.sentence] for ending in endings])


def get_baseline_metrics():
    """Return each baseline's metrics on every data set of the sweep; of found models, those that are published."""
    if not TRAINS:
        return [FOLDER / "baseline.parquet"]
    folders = [get_baseline(model) / name for model in STUDY.model_ids for name in STUDY.config["sweep"]["datasets"]]
    return [folder / "metrics.parquet" for folder in folders]


def get_baseline_predictions():
    """Return each baseline's predictions on every data set of the sweep; nobody publishes theirs."""
    return [path.with_name("predictions.parquet") for path in get_baseline_metrics()] if TRAINS else []


def get_confirmed(file):
    """Return one file of every run of the confirmation: of its evaluation on the sentences held back, if there are any."""
    return [str(evaluation_folder(STUDY.config, run) / file) for run in CONFIRMED.values()]


def get_confirmation(wildcards):
    """Return the confirmation of a study; none of one under way, nor where none was asked for."""
    return str(paths.table_file(NAME, "confirmation")) if wildcards.study == NAME and CONFIRMED else []


def get_present_confirmation(wildcards):
    """Return a confirmation that is there and that nothing makes: of a study under way, or of what it was before.

    As a param; the report shows or names it.
    """
    table = paths.table_file(NAME, "confirmation")
    return str(table) if not get_confirmation(wildcards) and table.exists() else None


def get_dataset_facts():
    """Return the facts of every data set that the study uses."""
    return [get_prepared(name, "dataset.json") for name in STUDY.dataset_ids]


def get_limits():
    """Return what trainings have of max_lengths and of numbers of training examples, by data set and, if many, model."""
    used = [(run.dataset, run.settings) for run in STUDY.runs.values()]
    used += [(name, STUDY.config["baseline"]["settings"]) for name in [STUDY.config["baseline"].get("dataset")] if name]
    return {
        name if MODEL not in ANALYSED["factors"] else f"{name} ({model})": {
            "max_lengths": sorted({settings["max_length"] for dataset, settings in used if dataset == name}),
            "train_sizes": sorted(
                {settings["train_examples"] for dataset, settings in used if dataset == name},
                key=lambda size: (size is None, size),
            ),
        }
        for model in STUDY.model_ids
        for name in STUDY.dataset_ids
    }


def captioned(path, kind, caption):
    """Return an output that stands in Snakemake's report, as a table or a figure, with its caption."""
    label = {kind: Path(path).stem.replace("_", " ")}
    return report(path, caption=f"../report/{kind}s/{caption}.rst", category=f"{kind.title()}s", labels=label)


def analysis_files(names):
    """Return the files of analysis tables, by name."""
    return {name: f"results/{{study}}/analysis/{name}.parquet" for name in names}


def get_csv_files(rule):
    """Return those of a rule's tables that people get, with their captions in Snakemake's report."""
    named = {name: table.caption for name, table in tables_of(rule, KIND).items() if table.caption}
    return [captioned(f"results/{{study}}/analysis/{name}.csv", "table", caption) for name, caption in named.items()]


def get_figures(suffix):
    """Return the study's figures in a format, by name, in the report's order."""
    names = figure_names(KINDS, STUDY.config["analysis"]["responses"])
    return {name: f"results/{{study}}/figures/{name}.{suffix}" for name in names}


def get_drawn_files():
    """Return the tables that the study's figures are drawn from, by name."""
    names = dict.fromkeys(name for figure in KINDS.values() for name in figure.tables)
    return {name: f"results/{{study}}/{'' if name in BESIDE else 'analysis/'}{name}.parquet" for name in names}


def get_epochs(folder):
    """Return the table of evaluations after each epoch in a study's folder, where its config asks for them."""
    return {"epochs": f"{folder}/epoch_evaluations.parquet"} if BY_EPOCH else {}


def get_card_files():
    """Return the files that hold model cards: a CSV, a folder's, or those fetched."""
    cards = STUDY.config["cards"]
    if "hub" in cards:
        return paths.place("source", source=STUDY.source_ids["cards"])
    return list(map(known_by_content, local_cards(cards)))


def get_found_inputs():
    """Return what the analyses of found models alone read: the cards, and the claims of a study that trained, if any."""
    if KIND != FOUND:
        return {}
    designed = paths.table_file(STUDY.config["beside"], "claims") if STUDY.config["beside"] else None
    return {
        "cards": "results/{study}/model_cards.parquet",
        "designed": designed if designed and designed.exists() else [],
    }


def of_the_study(files):
    """Return the files of a rule's input with the study's name in them."""
    named = expand(files, study=NAME)
    return named[0] if isinstance(files, str) else named


def get_targets():
    """Return what a finished study consists of."""
    kept = get_run_files("model") if STUDY.config.get("keep_weights") == "all" else []
    return [paths.report_file(NAME), *get_run_files("metrics.parquet"), *kept]
