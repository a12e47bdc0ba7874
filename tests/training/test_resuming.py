"""A training that goes on from a state, from every kind of start: the bytes of one that was never interrupted."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
)

from finevar import files
from finevar.data.encoding import Encoded
from finevar.errors import Interruption
from finevar.models import checkpoint
from finevar.models.distilbert.conversion import convert_model
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import loop
from finevar.training.loop import AfterStep, Plan, Trained, train_model
from finevar.training.optimiser import OPTIMIZERS
from finevar.training.saving import saving_states
from finevar.training.state import State, load_state, save_state

LAYERS, WORDS, POSITIONS = 2, 60, 32
CLASSES = ["bad", "fair", "good"]
PLACE = {"a": 1}  # a trajectory
STARTS = ("no head", "head of another size", "permuted head", "same head", "BERT")


@dataclass(frozen=True)
class Case:
    """One training: where it starts from, on what, and its options."""

    start: Path
    examples: Encoded
    settings: dict[str, Any]
    seed: int

    def train(
        self,
        begin: State | None = None,
        after_step: AfterStep | None = None,
        *,
        changes: dict[str, Any] | None = None,
        **options: Any,
    ) -> Trained:
        settings = self.settings | (changes or {})
        plan = Plan(self.start, self.examples, CLASSES, settings, self.seed, threads=1, name="x", **options)
        return train_model(plan, begin=begin, after_step=after_step)


def make_start(kind: str, folder: Path) -> Path:
    """Write a checkpoint of random weights as conversion leaves it."""
    torch.manual_seed(3)
    sizes = {"vocab_size": WORDS, "max_position_embeddings": POSITIONS}
    if kind == "BERT":
        sizes |= {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
        model = BertModel(BertConfig(**sizes))
    else:
        config = DistilBertConfig(dim=16, hidden_dim=24, n_layers=LAYERS, n_heads=2, **sizes)
        names = {"permuted head": ["Good", "BAD", "fair"], "same head": CLASSES}.get(kind, ["yes", "no"])
        config.id2label = dict(enumerate(names))
        model = (DistilBertModel if kind == "no head" else DistilBertForSequenceClassification)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    source, start = folder / "source", folder / "start"
    model.save_pretrained(source)
    (source / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w"]) + "\n")
    start.mkdir()
    convert_model(source, start, where="source tiny")
    files.write_sums(start)
    return start


def without_head_dropout(start: Path, folder: Path) -> Path:
    """Copy a checkpoint, without the dropout of its head, which no setting governs."""
    shutil.copytree(start, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"seq_classif_dropout": 0.0}))
    files.write_sums(folder)
    return folder


def make_examples(draw: random.Random, count: int) -> Encoded:
    """Return random sentences of 3 to 40 tokens, some longer than any model's positions."""
    sentences = [[2, *(draw.randrange(5, WORDS) for _ in range(draw.randint(1, 38))), 3] for _ in range(count)]
    offsets = np.cumsum([0, *map(len, sentences)])
    labels = np.array([draw.randrange(len(CLASSES)) for _ in range(count)], dtype=np.int64)
    return Encoded(np.concatenate(sentences).astype(np.int32), offsets, labels)


@pytest.fixture(scope="module", params=STARTS)
def start(request, tmp_path_factory) -> Path:
    return make_start(request.param, tmp_path_factory.mktemp("start"))


def make_case(start: Path, number: int) -> Case:
    """Return a case by its number: settings at random, layers frozen from none to all."""
    draw = random.Random(number)
    count = draw.randint(9, 20)
    settings = TRAINING_DEFAULTS | {
        "learning_rate": draw.choice([1e-3, 1e-2]),
        "batch_size": draw.randint(3, 6),
        "epochs": draw.randint(1, 3),
        "dropout": draw.choice([0.1, 0.5]),
        "warmup": draw.choice([0.0, 3.0]),
        "schedule": draw.choice(["linear", "constant", "cosine"]),
        "weight_decay": draw.choice([0.0, 0.5]),
        "clip_norm": draw.choice([0.1, 1e9]),
        "max_length": draw.choice([16, 32]),
        "frozen_layers": number % (LAYERS + 1),
        "dtype": ["float32", "bfloat16"][number // (LAYERS + 1) % 2],
        "optimizer": tuple(OPTIMIZERS)[number % len(OPTIMIZERS)],
    }
    return Case(start, make_examples(draw, count), settings, seed=number)


@pytest.fixture(params=range(6))
def case(start, request) -> Case:
    return make_case(start, request.param)


@pytest.fixture
def shuffle(monkeypatch) -> Callable[[int], None]:
    """Give a function after which checkpoints give their tensors in another order."""
    load = checkpoint.load_model

    def shuffle(seed: int) -> None:
        def shuffled(folder: Path):
            weights, architecture = load(folder)
            names = list(weights)
            random.Random(seed).shuffle(names)
            return {name: weights[name] for name in names}, architecture

        monkeypatch.setattr(checkpoint, "load_model", shuffled)

    return shuffle


def assert_same(one: Trained, other: Trained) -> None:
    """Compare all that no clock decides: weights, steps, the state at the end, the summary."""
    timeless = [[{**row, "seconds": 0} for row in trained.steps] for trained in (one, other)]
    assert repr(timeless[0]) == repr(timeless[1])
    pairs = [(one.weights or {}, other.weights or {}), (one.state.weights, other.state.weights)]
    pairs += [(getattr(one.state.moments, part), getattr(other.state.moments, part)) for part in ("first", "second")]
    for found, expected in pairs:
        assert found.keys() == expected.keys()
        assert [name for name in found if not torch.equal(found[name], expected[name])] == []
    assert torch.equal(one.state.moments.steps, other.state.moments.steps)
    assert one.state.draws is None is other.state.draws
    assert all(one.summary[name] == other.summary[name] for name in ("status", "reason", "head", "tokens", "steps"))


def interrupt(case: Case, folder: Path, at: int, **options: Any) -> None:
    """Train, from what an earlier attempt left, until the job is asked to end at a step."""
    with saving_states(folder, PLACE) as saver:

        def ask_and_save(state: State, draws: torch.Generator) -> None:
            if len(state.rows) == at:
                saver.asked.append("SIGTERM")
            saver.save_if_due(state, draws)

        with pytest.raises(Interruption):
            case.train(saver.load(), ask_and_save, **options)


def resume(case: Case, folder: Path, **options: Any) -> Trained:
    with saving_states(folder, PLACE) as saver:
        return case.train(saver.load(), saver.save_if_due, **options)


@pytest.mark.parametrize("pads", [False, True])
def test_resumed_at_random_steps(case, tmp_path, monkeypatch, shuffle, pads):
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    draw = random.Random(case.seed)
    whole = case.train()
    for number, at in enumerate(sorted(draw.sample(range(1, len(whole.steps) + 1), 2))):
        shuffle(number)
        interrupt(case, tmp_path, at)
    shuffle(7)
    again = resume(case, tmp_path)
    assert_same(again, whole)
    assert again.summary["steps_of_shorter_run"] == 0


def test_micro_batches_resumed_and_against_the_whole(case, tmp_path):
    parts = case.train(micro_batches=3)
    interrupt(case, tmp_path, len(parts.steps) // 2 + 1, micro_batches=3)
    assert_same(resume(case, tmp_path, micro_batches=1), parts)  # a state keeps to the parts that it was made in
    exact = {"dropout": 0.0, "dtype": "float32", "learning_rate": 1e-3}
    case = replace(case, start=without_head_dropout(case.start, tmp_path / "start"))  # drawn otherwise on a GPU
    one, three = (case.train(changes=exact, micro_batches=count) for count in (1, 3))
    np.testing.assert_allclose([row["loss"] for row in one.steps], [row["loss"] for row in three.steps], atol=1e-4)


def test_from_the_state_of_a_shorter_run(case, tmp_path, shuffle):
    longer = {"schedule": "constant", "epochs": case.settings["epochs"] + 2}
    short, whole = case.train(changes={"schedule": "constant"}), case.train(changes=longer)
    save_state(short.state, tmp_path / "state.safetensors", PLACE)
    shuffle(0)
    continued = case.train(load_state(tmp_path / "state.safetensors", PLACE), changes=longer)
    assert_same(continued, whole)
    assert continued.summary["steps_of_shorter_run"] == len(short.steps)


def test_the_order_of_a_checkpoint_decides_nothing(case, shuffle):
    whole = case.train()
    shuffle(0)
    assert_same(case.train(), whole)


def test_steps_of_a_shorter_run_stay_counted_after_an_interruption(start, tmp_path):
    case = make_case(start, 0)
    longer = {"schedule": "constant", "epochs": case.settings["epochs"] + 2}
    short = case.train(changes={"schedule": "constant"})
    save_state(short.state, tmp_path / "state.safetensors", PLACE)
    taken = len(short.steps)
    begin = load_state(tmp_path / "state.safetensors", PLACE)
    with saving_states(tmp_path, PLACE) as saver:
        saver.asked.append("SIGTERM")
        with pytest.raises(Interruption):
            case.train(begin, saver.save_if_due, changes=longer)
    for at in (taken + 2, taken + 3):
        interrupt(case, tmp_path, at, changes=longer)
    again = resume(case, tmp_path, changes=longer)
    assert again.summary["steps_of_shorter_run"] == taken
    assert_same(again, case.train(changes=longer))


# States that do not fit -----------------------------------------------------------------------------------------------

FREE = "pre_classifier.weight"  # learns whatever is frozen
FROZEN = "distilbert.embeddings.word_embeddings.weight"
MOMENT = f"first/{FREE}"


def without(name: str):
    return lambda tensors: tensors.pop(name)


def put(name: str, tensor: torch.Tensor):
    return lambda tensors: tensors.update({name: tensor})


def cut(name: str):
    return lambda tensors: tensors.update({name: tensors[name][1:].contiguous()})


SPOILT = {
    "missing weight": (without(f"weight/{FREE}"), f"weight/{FREE} is missing"),
    "unexpected weight": (put("weight/extra.bias", torch.zeros(3)), "weight/extra.bias is unexpected"),
    "another shape": (cut(f"weight/{FREE}"), rf"weight/{FREE} is float32 \[15, 16\].* has float32 \[16, 16\]"),
    "a frozen weight": (put(f"weight/{FROZEN}", torch.zeros(3, 16)), f"weight/{FROZEN} is unexpected"),
    "another type": (put(f"weight/{FREE}", torch.zeros(16, 16, dtype=torch.float64)), f"{FREE} is float64"),
    "missing moment": (without(MOMENT), f"{MOMENT} is missing"),
    "second moment of another shape": (cut(f"second/{FREE}"), f"second/{FREE} is float32"),
    "moments of a frozen weight": (put(f"first/{FROZEN}", torch.zeros(3, 16)), f"first/{FROZEN} is unexpected"),
    "numbered moments": (put("first/0", torch.zeros(3, 16)), "first/0 is unexpected"),
    "unknown kind": (put("third/x", torch.zeros(3)), "third/x is unexpected"),
    "column missing": (without("row/loss"), "row/loss is missing"),
    "column cut": (cut("row/tokens"), r"row/tokens is float64 \[3\]"),
    "no steps column": (without("row/step"), "row/epoch is float64"),
    "steps that do not count": (
        put("row/step", torch.tensor([1, 2, 4, 5], dtype=torch.float64)),
        "its steps are not counted from 1",
    ),
    "no draws": (without("draws"), "draws is missing"),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> tuple[Case, Path]:
    """Return a training without a head, its embeddings frozen, that was interrupted in the middle of an epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    case = make_case(make_start("no head", folder), 1)
    case = replace(case, settings=case.settings | {"batch_size": 2, "epochs": 2, "schedule": "constant"})
    interrupt(case, folder, 4)
    assert case.settings["frozen_layers"] == 1
    return case, folder / "resume.safetensors"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the package warned of."""
    found = (record for record in caplog.records if record.name == "finevar" and record.levelno >= logging.WARNING)
    return [record.getMessage() for record in found]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT)
def test_a_state_that_does_not_fit_is_refused_by_name(interrupted, tmp_path, caplog, spoil, said, own):
    case, path = interrupted
    rewrite(path, tmp_path / "resume.safetensors", spoil)
    begin = load_state(tmp_path / "resume.safetensors", PLACE, own=own)
    trained = case.train(begin)
    (message,) = warnings(caplog)
    assert_matches(said, message)
    assert message.endswith("training starts from the beginning")
    assert trained.summary["steps_of_shorter_run"] == 0
    assert_same(trained, case.train())


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


def test_the_state_that_is_spoilt_above_would_have_been_taken_up(interrupted, tmp_path, caplog):
    case, path = interrupted
    rewrite(path, tmp_path / "resume.safetensors", lambda _: None)
    begin = load_state(tmp_path / "resume.safetensors", PLACE, own=True)
    assert len(begin.rows) == 4
    assert_same(case.train(begin), case.train())
    assert not warnings(caplog)


def rewrite(path: Path, to: Path, spoil: Callable[[dict], Any]) -> None:
    """Write a state's file with other tensors, under a new seal."""
    state = load_state(path, PLACE)
    save_state(state, to, PLACE)
    tensors = load_file(to)
    spoil(tensors)
    facts = {"trajectory": '{"a": 1}', "taken_over": "0", "seal": files.blank_seal()}
    save_file(tensors, to, metadata=facts)
    files.seal_file(to)


def test_a_state_of_more_steps_than_the_training_takes_is_refused(interrupted, tmp_path, caplog):
    case, _ = interrupted
    longer = case.train()
    shorter = {"epochs": 1}
    assert_same(case.train(longer.state, changes=shorter), case.train(changes=shorter))
    assert f"it has {len(longer.steps)} steps, and the training takes {len(longer.steps) // 2}" in caplog.text


def test_a_refused_state_is_replaced_by_the_next_one_saved(interrupted, tmp_path, caplog):
    case, path = interrupted
    rewrite(path, tmp_path / "resume.safetensors", without(MOMENT))
    interrupt(case, tmp_path, 2)
    assert [line.split(" ", 1)[1].split(" (")[0] for line in (tmp_path / "attempts.log").read_text().splitlines()] == [
        "started at step 4",
        "started again at step 0: the saved state does not fit this training",
        "ended by SIGTERM with its state saved at step 2",
    ]
    caplog.clear()
    assert_same(resume(case, tmp_path), case.train())
    assert not warnings(caplog)
