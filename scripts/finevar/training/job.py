"""One training as a job: from the files of other jobs to its own, or to those of a finished one that is the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finevar import ENGINES
from finevar.columns import EPOCHS, TRAINING
from finevar.data.encoding import encoded_sha256, load_encoded
from finevar.evaluation.evaluation import evaluation_identity
from finevar.files import read_facts, write_facts
from finevar.jobs.cache import keep_finished, kept_identity, restore_finished
from finevar.models import checkpoint
from finevar.models.machine import choose_dtype, machine_facts, provenance, set_up
from finevar.parquet import write_rows
from finevar.study.identity import chosen
from finevar.study.seed_parts import Seed
from finevar.training.loop import Plan, Trained, train_model
from finevar.training.saving import saving_states
from finevar.training.state import load_state, save_state
from finevar.training.steps import Settings


@dataclass(frozen=True)
class TrainingJob:
    """The files of a training and how it trains.

    In: folder of the starting model, encoded training examples, the data set's facts; perhaps, as `begin`, the state of
    a shorter run to go on from, and the encoded evaluation examples, which a finished training without weights is
    known by, and which the model is evaluated on after each epoch where that is asked for. Out: folder of the trained
    model, Parquet of steps, JSON summary; perhaps the state at the end, and, unknown to Snakemake as no result rests on
    it, epochs.parquet.
    """

    start: str
    train: str
    facts: str
    settings: Settings
    seed: Seed
    threads: int
    name: str
    model: str
    training: str
    summary: str
    begin: str | None = None
    state: str | None = None
    micro_batches: int = 1
    weights_kept: bool = True
    evaluation: str | None = None
    evaluated_each_epoch: bool = False
    head: checkpoint.Meanings | None = None
    keeps_head: bool = False

    @property
    def folder(self) -> Path:
        """Return the run's folder."""
        return Path(self.summary).parent

    @property
    def outputs(self) -> list[str]:
        """Return the files that the job leaves."""
        return [self.model, self.training, self.summary, *([self.state] if self.state else [])]

    def plan(self, classes: Sequence[str]) -> Plan:
        """Return the training itself, its examples read."""
        return Plan(
            start=Path(self.start),
            examples=load_encoded(self.train),
            classes=classes,
            settings=self.settings,
            seed=self.seed,
            threads=self.threads,
            name=self.name,
            micro_batches=self.micro_batches,
            evaluation=load_encoded(self.evaluation) if self.evaluated_each_epoch else None,
            head=self.head,
            keeps_head=self.keeps_head,
        )


def train_files(**arguments: Any) -> dict[str, Any]:
    """Run a training's job; return the summary; arguments: those of a TrainingJob.

    Goes on from where an earlier attempt was cut short, and gives the outputs of a finished one back: without weights
    if they are not to be kept and the evaluation that would read them is finished, too. Raises Interruption where this
    one is cut short.
    """
    job = TrainingJob(**arguments)
    data = read_facts(job.facts)
    identity = training_identity(Path(job.start), job.train, data["classes"], job.settings, job.seed, job.head)
    dtype = choose_dtype(job.settings["dtype"], set_up(job.threads))
    trajectory = identity | machine_facts(job.threads, dtype)  # all that decides the bytes of a state
    with saving_states(job.folder, trajectory) as saver:
        if restore(job, identity, data):
            saver.restored()
            return read_facts(job.summary)
        # What runs of one trajectory have in common: all but how long they follow it.
        settings = {name: value for name, value in identity["settings"].items() if name != "epochs"}
        shorter = trajectory | {"settings": settings}
        begin = saver.load() or (load_state(job.begin, shorter) if job.begin else None)
        trained = train_model(job.plan(data["classes"]), begin=begin, after_step=saver.save_if_due)
        save_trained(trained, Path(job.model), start=Path(job.start), classes=data["classes"])
        write_rows(trained.steps, job.training, TRAINING)
        if trained.epochs:
            write_rows(trained.epochs, job.folder / "epochs.parquet", EPOCHS)
        else:  # an earlier training's
            (job.folder / "epochs.parquet").unlink(missing_ok=True)
        if job.state:
            save_state(trained.state, job.state, shorter)
        written = trained.summary | {"model_sha256": identity["weights"], **provenance()}
        write_facts(written | {"identity": identity}, job.summary)
        keep_finished(job.folder, "training", job.outputs, identity)
        saver.done(written["steps"], written["status"])
    return written


def training_identity(
    start: Path,
    encoded: str,
    classes: Sequence[str],
    settings: Settings,
    seed: Seed,
    head: checkpoint.Meanings | None = None,
) -> dict[str, Any]:
    """Return all that decides what a training gives but for the machine; start: the folder of the model it begins with.

    Data by their token ids and labels; settings that are at their defaults are left out.
    """
    return checkpoint.content_of(start) | {
        "engine": ENGINES["training"],
        "encoded": encoded_sha256(encoded),
        "classes": list(classes),
        "settings": chosen(settings),
        "seed": seed,
        **({"head": dict(head)} if head else {}),
    }


def restore(job: TrainingJob, identity: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Give the outputs of a finished training of this identity back; False if there are none, or not enough.

    Where the weights are gone because they are evaluated, and are not wanted, a model's config alone stands in their
    place: the evaluation, finished as well, does not read them.
    """
    folder, start = job.folder, Path(job.start)
    if kept_identity(folder, "training") != identity:
        return False
    if restore_finished(folder, "training", job.outputs):
        checkpoint.copy_tokenizer(start, Path(job.model))  # that which its start has now
        return True
    if job.weights_kept or not job.evaluation:
        return False
    reader = evaluation_identity(identity, job.evaluation, data, job.settings)
    smaller = [job.training, job.summary]
    if kept_identity(folder, "evaluation") != reader or not restore_finished(folder, "training", smaller):
        return False
    checkpoint.write_config(Path(job.model), start=start, classes=data["classes"])
    if job.state:
        Path(job.state).touch()  # no state: what would go on from it starts again
    return True


def save_trained(trained: Trained, folder: Path, *, start: Path, classes: Sequence[str]) -> None:
    """Write the model's folder; a diverged run leaves its config only."""
    shutil.rmtree(folder, ignore_errors=True)
    if trained.weights is None:
        checkpoint.write_config(folder, start=start, classes=classes)
    else:
        checkpoint.save_model(trained.weights, folder, start=start, classes=classes)
