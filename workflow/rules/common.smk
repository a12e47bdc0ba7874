import contextlib
import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient, flag

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from finevar import ENGINES
from finevar.study.config import read_config
from finevar.study.design import any_of, baseline_levels, design_rows, plan_study
from finevar.jobs.endings import endings_since, run_ending
from finevar.errors import InputError
from finevar.study.found_config import is_found
from finevar.study.identity import cards_identity, digest, local_cards, local_model_files
from finevar.jobs.log import check_writable
from finevar.commands.leftovers import FOUND_TABLES
from finevar.words.next_start import next_sentences

SCRIPTS_DATE = 946684800  # 2000-01-01

try:
    check_writable(Path("results"))
    STUDY = plan_study(read_config(config))
except InputError as error:
    raise WorkflowError(str(error)) from None

STARTED = time.time()
TRAINS = not is_found(STUDY.config)
RESULTS_CONFIG = {key: part for key, part in STUDY.config.items() if key not in ("keep_weights", "gpus_per_run")}


# Results outlive code. Snakemake reruns what is older than its script, but a clone or a checkout dates every script as
# of now, which says nothing of what a job computes: ENGINES says that, as a param of each rule. So scripts have one old
# date. In a clone that may not be written to they keep theirs, and jobs that run again give back what they had finished.
for entry in Path(workflow.basedir, "scripts").glob("*.py"):
    if entry.stat().st_mtime != SCRIPTS_DATE:
        with contextlib.suppress(OSError):
            os.utime(entry, (SCRIPTS_DATE, SCRIPTS_DATE))


wildcard_constraints:
    study=any_of([STUDY.config["study"], f"{STUDY.config['study']}/interim"]),
    source=any_of(list(STUDY.source_ids.values())),
    model=any_of([STUDY.model_id]),
    data=any_of(list(STUDY.dataset_ids.values())),
    dataset=any_of(list(STUDY.dataset_ids)),
    baseline=any_of([STUDY.baseline_id]),
    run=r"lr[^/]+-seed\d+-[0-9a-f]{8}",
    response=any_of(STUDY.config["analysis"]["responses"]),


def named(ids, name_or_id):
    """Return the name that an id was made for."""
    return next(name for name, made in ids.items() if made == name_or_id)


def known_by_content(path):
    """Mark a file of the user's own as an input whose name and date say nothing: its content is part of an id or a param.

    Snakemake records the same name for wherever it lies, by the flag with which it does so for files that it fetches.
    """
    return flag(ancient(str(path)), "sourcecache_entry", "known by content")


def get_source(wildcards):
    """Return the config of the source that a wildcard names, or of the model's without the place of a local one."""
    data = wildcards.get("source")
    source = STUDY.config["sources"][named(STUDY.source_ids, data) if data else STUDY.config["model"]]
    return {"kind": "local"} if source["kind"] == "local" else source


def get_local_model(wildcards):
    """Return the model's own files where it lies on this machine."""
    source = STUDY.config["sources"][STUDY.config["model"]]
    return list(map(known_by_content, local_model_files(source))) if source["kind"] == "local" else []


def get_design(wildcards):
    """Return a digest of the study's runs, which a table may list."""
    return digest(design_rows(STUDY.runs.values()))


def dataset_of(wildcards):
    """Return the config of the data set that a wildcard names."""
    return STUDY.config["datasets"][named(STUDY.dataset_ids, wildcards.data)]


def get_dataset(wildcards):
    """Return the config of the data set that a wildcard names, without the places where local files lie."""
    dataset = dataset_of(wildcards)
    local = get_dataset_kind(wildcards) == "local"
    return {key: value for key, value in dataset.items() if not (local and key in ("source", "file", "eval_file"))}


def get_dataset_kind(wildcards):
    """Return the kind of a data set's source."""
    return STUDY.config["sources"][dataset_of(wildcards)["source"]]["kind"]


def get_dataset_source(wildcards):
    """Return the folder that a data set's files were fetched to; none where the user has them."""
    name = dataset_of(wildcards)["source"]
    return [] if get_dataset_kind(wildcards) == "local" else f"results/sources/{STUDY.source_ids[name]}"


def get_local_file(key):
    """Return the function that gives a data set's own file of a key where it lies on this machine."""

    def get_file(wildcards):
        dataset = dataset_of(wildcards)
        source = STUDY.config["sources"][dataset["source"]]
        local = source["kind"] == "local" and key in dataset
        return known_by_content(Path(source["path"], dataset[key])) if local else []

    return get_file


def get_prepared(name, file):
    """Return a prepared file of a data set, by its name."""
    return f"results/data/{STUDY.dataset_ids[name]}/{file}"


def get_encoded(name, part):
    """Return the encoded part (train or eval) of a data set, by its name."""
    return f"results/encoded/{STUDY.dataset_ids[name]}--{STUDY.model_id}/{part}.safetensors"


def get_start():
    """Return the folder of the model that every run starts from: the trained baseline, or the source model."""
    trained = "dataset" in STUDY.config["baseline"]
    return f"results/baselines/{STUDY.baseline_id}/model" if trained else f"results/models/{STUDY.model_id}"


def get_run(wildcards):
    """Return the run that a wildcard names."""
    try:
        return STUDY.runs[wildcards.run]
    except KeyError:
        raise WorkflowError(f"run {wildcards.run} is not part of study {STUDY.config['study']}") from None


def get_begin(wildcards):
    """Return what a run's training begins with: the state of a shorter run that it goes on from, or its data alone.

    Its data, too, where it is done, or where the shorter run is and its state is gone: to train that one once more would
    take longer than to begin anew, and gives the same. So that this choice, and a level in between that is added later,
    reruns nothing that is done, Snakemake is made to record the same name for either, by the flag with which it does so
    for files that it fetches.
    """
    begin = Path(get_encoded(wildcards.dataset, "train"))
    own = Path(f"results/runs/{wildcards.dataset}/{wildcards.run}")
    if wildcards.run in STUDY.shorter and not (own / "metrics.parquet").exists():
        shorter = own.with_name(STUDY.shorter[wildcards.run])
        if (shorter / "state.safetensors").exists() or not (shorter / "training.json").exists():
            begin = shorter / "state.safetensors"
    return flag(str(begin), "sourcecache_entry", "shorter-run-state")


def shared_state(path):
    """Return the output of a run's state at its end, which is wanted where longer runs may go on from it."""
    return temp(path) if STUDY.config["training"]["schedule"] == "constant" else []


def get_run_record(wildcards):
    """Return what identifies a run in its metrics file."""
    run = get_run(wildcards)
    return {"run_id": run.run_id, "point_id": run.point_id, "dataset": run.dataset, "seed": run.seed, **run.settings}


def get_baseline_record(wildcards):
    """Return what identifies the baseline in its metrics file."""
    baseline = STUDY.config["baseline"]
    names = {"run_id": STUDY.baseline_id, "point_id": STUDY.baseline_id, "dataset": wildcards.dataset}
    return names | {"seed": baseline["seed"], **baseline["settings"]}


def get_baseline_summary(wildcards):
    """Return the summary of the baseline's training, if it is trained here."""
    trained = "dataset" in STUDY.config["baseline"]
    return f"results/baselines/{STUDY.baseline_id}/training.json" if trained else []


def get_run_files(file):
    """Return one file of every run, in the design's order."""
    return [f"results/runs/{run.dataset}/{run.run_id}/{file}" for run in STUDY.runs.values()]


def get_finished_files(file):
    """Return one file of every run that is done, in the design's order; its kept one where its submission failed."""
    job = {"metrics.parquet": "evaluation", "training.parquet": "training"}[file]
    folders = [Path(path).parent for path in get_run_files(file)]
    places = [
        next((place for place in (folder, folder / "finished" / job) if (place / file).exists()), None)
        for folder in folders
        if (folder / "metrics.parquet").exists() or (folder / "finished/evaluation/metrics.parquet").exists()
    ]
    return [str(place / file) for place in places if place]


def get_endings():
    """Return a digest of how the runs that are not done have ended, so that a new reason makes a new interim report."""
    done = {Path(path).parts[3] for path in get_finished_files("metrics.parquet")}
    left = [run for name, run in STUDY.runs.items() if name not in done]
    endings = [run_ending(run.dataset, run.run_id, Path("results/logs")) for run in left]
    return digest([[ending.code, ending.sentence] for ending in endings])


def get_baseline_metrics():
    """Return the baseline's metrics on every data set of the sweep; of found models, those that are published."""
    if not TRAINS:
        return [f"results/{STUDY.config['study']}/baseline.parquet"]
    folder = f"results/baselines/{STUDY.baseline_id}"
    return [f"{folder}/{name}/metrics.parquet" for name in STUDY.config["sweep"]["datasets"]]


def get_baseline_predictions():
    """Return the baseline's predictions on every data set of the sweep; nobody publishes theirs."""
    if not TRAINS:
        return []
    return [path.replace("metrics.parquet", "predictions.parquet") for path in get_baseline_metrics()]


def get_predictions(wildcards):
    """Return every run's predictions; of a study under way none, since Snakemake would first make those that lack."""
    return get_run_files("predictions.parquet") if wildcards.study == STUDY.config["study"] else []


def get_dataset_names():
    """Return the names of the data sets that the study trains on."""
    return list(STUDY.dataset_ids)


def get_dataset_facts():
    """Return the facts of every data set that the study uses."""
    return [get_prepared(name, "dataset.json") for name in get_dataset_names()]


def transient(path):
    """Mark weights as temporary unless the config keeps them."""
    return temp(path) if STUDY.config["keep_weights"] == "none" else path


def get_figures():
    """Return the names of the study's figures, in the report's order."""
    surfaces = [f"surface_{response}" for response in STUDY.config["analysis"]["responses"]]
    joint = ["interplay", *surfaces] if len(STUDY.config["sweep"]["factors"]) > 1 else []
    trained = ["learning_curves", "calibration"] if TRAINS else []  # model cards hold neither steps nor predictions
    told = [*trained, "variability", "tradeoffs", "tuning_curves"]
    return ["effects", "coefficients", "main_effects", *joint, *told]


def failure_message():
    """Return what to do when jobs have failed, each of which Snakemake has reported."""
    done, planned = len(get_finished_files("metrics.parquet")), len(STUDY.runs)
    sentences = [f"{done} of {planned} runs are done and kept. The reasons are above and in results/logs."]
    sentences += next_sentences(endings_since(Path("results/logs"), STARTED), "job")
    return " ".join([*sentences, "`snakemake interim --cores 1` makes a report of what there is."])


def get_card_files():
    """Return the files that hold model cards: a CSV, a folder's, or those fetched."""
    cards = STUDY.config["cards"]
    if "hub" in cards:
        return f"results/sources/{STUDY.source_ids['cards']}"
    return list(map(known_by_content, local_cards(cards)))


def get_designed_claims():
    """Return the claims of the study that trained over the factors of a found one, where they are there."""
    path = Path(f"results/{STUDY.config['beside']}/analysis/claims.parquet")
    return str(path) if path.exists() else []


def get_found_tables():
    """Return the tables that only a study of found models has, by name."""
    names = [] if TRAINS else FOUND_TABLES
    return {name: f"results/{{study}}/analysis/{name}.parquet" for name in names}


def of_the_study(files):
    """Return the files of a rule's input with the study's name in them."""
    named = expand(files, study=STUDY.config["study"])
    return named[0] if isinstance(files, str) else named


def get_targets():
    """Return what a finished study consists of."""
    kept = get_run_files("model") if STUDY.config.get("keep_weights") == "all" else []
    return [f"results/{STUDY.config['study']}/report.html", *get_run_files("metrics.parquet"), *kept]
