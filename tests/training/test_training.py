"""The training loop against Hugging Face's Trainer, and its own promises: determinism, divergence, clear errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments, get_scheduler

import tiny
from finevar.data.encoding import Encoded, encode
from finevar.errors import InputError
from finevar.models import checkpoint, machine
from finevar.reasons import Head
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import progress
from finevar.training.job import save_trained
from finevar.training.loop import Plan, train_model
from finevar.training.optimiser import Moments, update
from finevar.training.schedule import epoch_batches, schedule_factor
from finevar.training.state import load_state, save_state
from refusals import refusal

CLASSES = ["negative", "positive"]
SETTINGS = TRAINING_DEFAULTS | {"learning_rate": 3e-3, "batch_size": 8, "epochs": 2, "dropout": 0.0, "max_length": 16}
SETTINGS["dtype"] = "float32"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    tiny.make_model(tmp_path / "start", dropout=0.0)
    return tmp_path / "start"


@pytest.fixture
def examples(start: Path) -> Encoded:
    texts, labels = zip(*tiny.make_sentences(44), strict=True)
    return encode(texts, [CLASSES.index(label) for label in labels], start)


def train(start: Path, examples: Encoded, settings: dict = SETTINGS, *, seed: int = 0, threads: int = 1, begin=None):
    return train_model(Plan(start, examples, CLASSES, settings, seed, threads, name="test"), begin=begin)


class OrderedTrainer(Trainer):
    """Hugging Face's Trainer, fed in a given order, that notes the loss of each step unrounded."""

    def __init__(self, *args, orders: list[list[int]], **options) -> None:
        super().__init__(*args, **options)
        self.orders, self.losses = orders, []

    def _get_train_sampler(self, dataset=None):
        trainer = self

        class InOrder(torch.utils.data.Sampler):
            def __iter__(self):
                return iter(trainer.orders.pop(0))

            def __len__(self) -> int:
                return len(dataset if dataset is not None else trainer.train_dataset)

        return InOrder()

    def training_step(self, *args, **options):
        loss = super().training_step(*args, **options)
        self.losses.append(loss.item())
        return loss


@pytest.mark.parametrize(
    ("schedule", "warmup", "weight_decay", "smoothing", "beta2"),
    [("linear", 0.25, 0.1, 0.0, 0.999), ("constant", 3, 0.0, 0.2, 0.999), ("cosine", 0.0, 0.3, 0.1, 0.95)],
)
def test_losses_follow_hugging_face_trainer(
    start, examples, tmp_path, schedule, warmup, weight_decay, smoothing, beta2
):
    settings = SETTINGS | {"schedule": schedule, "warmup": warmup, "weight_decay": weight_decay, "clip_norm": 0.5}
    settings |= {"label_smoothing": smoothing, "beta2": beta2}
    ours = train(start, examples, settings, seed=5)

    model = tiny.make_model(tmp_path / "again", dropout=0.0)
    rows = [{"input_ids": examples.sentence(n, 16).tolist(), "labels": int(examples.labels[n])} for n in range(44)]

    def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in batch)
        ids = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in batch]
        mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in batch]
        labels = [row["labels"] for row in batch]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}

    orders = [[n for batch in epoch_batches(44, 8, 5, epoch) for n in batch] for epoch in range(2)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "trainer"),
        use_cpu=True,
        learning_rate=3e-3,
        num_train_epochs=2,
        per_device_train_batch_size=8,
        lr_scheduler_type="constant_with_warmup" if schedule == "constant" else schedule,
        warmup_steps=warmup,
        weight_decay=weight_decay,
        label_smoothing_factor=smoothing,
        adam_beta2=beta2,
        max_grad_norm=0.5,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    theirs = OrderedTrainer(model, arguments, train_dataset=rows, data_collator=collate, orders=orders)
    theirs.train()

    assert len(theirs.losses) == len(ours.steps) == 12
    np.testing.assert_allclose([row["loss"] for row in ours.steps], theirs.losses, atol=1e-5)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(ours.weights[name].detach(), tensor, atol=1e-4, rtol=0)  # steps are 3e-3 long


def test_a_layer_has_its_share_of_the_rate_of_the_one_above(start, examples):
    """By a first step, whose length is the rate in AdamW; a key's bias has no gradient, as no softmax depends on it."""
    decay, rate = 0.5, 1e-3
    once = SETTINGS | {"epochs": 1, "train_examples": 8, "schedule": "constant", "learning_rate": rate}
    before, _ = checkpoint.load_model(start)
    after, whole = (train(start, examples, once | {"layer_decay": share}).weights for share in (decay, 1.0))
    powers = {"distilbert.embeddings.": 3, "distilbert.transformer.layer.0.": 2, "distilbert.transformer.layer.1.": 1}
    for name, weight in before.items():
        power = next((power for block, power in powers.items() if name.startswith(block)), 0)
        moved, all_of_it = (trained[name].double() - weight.double() for trained in (after, whole))
        torch.testing.assert_close(moved, all_of_it * decay**power, rtol=1e-3, atol=1e-7)
        assert name.endswith("k_lin.bias") or all_of_it.abs().max().item() == pytest.approx(rate, rel=0.01)


def test_words_that_do_not_occur_decay_at_the_rate_of_the_embeddings(start, examples):
    settings = SETTINGS | {"layer_decay": 0.5, "weight_decay": 0.3, "schedule": "constant", "train_examples": 8}
    before, after = checkpoint.load_model(start)[0], train(start, examples, settings).weights
    name, absent = "distilbert.embeddings.word_embeddings.weight", 4  # [MASK]
    kept = (1 - 3e-3 * 0.5**3 * 0.3) ** 2  # of two steps
    torch.testing.assert_close(after[name][absent], before[name][absent] * kept, rtol=1e-6, atol=0)


def test_settings_of_layers_that_do_not_fit_are_refused(start, examples):
    for settings, allowed in (({"reinit_layers": 3}, "2"), ({"reinit_layers": 2, "frozen_layers": 1}, "1")):
        error = refusal(train, start, examples, SETTINGS | settings)
        assert (error.where, "at most " + allowed in error.allowed) == ("setting reinit_layers", True)


def test_the_losses_compared_do_move(start, examples):
    losses = [row["loss"] for row in train(start, examples).steps]
    assert max(losses) - min(losses) > 0.1


@pytest.mark.parametrize("schedule", ["linear", "constant_with_warmup", "cosine"])
@pytest.mark.parametrize("warm", [0, 7])
def test_schedules_equal_hugging_face(schedule, warm):
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = get_scheduler(schedule, optimiser, num_warmup_steps=warm, num_training_steps=30)
    name = schedule.removesuffix("_with_warmup")
    for step in range(30):
        assert schedule_factor(step, 30, warm, name) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimiser.step()
        theirs.step()


def test_warm_up_below_one_is_a_share_of_the_steps():
    assert [schedule_factor(step, 21, 0.1, "constant") for step in range(4)] == [0, 1 / 3, 2 / 3, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_run_twice_is_the_same_to_the_byte(start, examples, threads):
    settings = SETTINGS | {"dropout": 0.1}
    first, second = (train(start, examples, settings, threads=threads) for _ in range(2))
    assert [row["loss"] for row in first.steps] == [row["loss"] for row in second.steps]
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_seeds_differ_and_do_not_depend_on_the_point(start, examples):
    settings = SETTINGS | {"dropout": 0.1}
    first, second = (train(start, examples, settings, seed=seed).steps[-1]["loss"] for seed in (0, 1))
    assert first != second
    short, long = (train(start, examples, settings | {"schedule": "constant", "epochs": n}) for n in (1, 2))
    assert [row["loss"] for row in short.steps] == [row["loss"] for row in long.steps[: len(short.steps)]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("frozen", [0, 1])
def test_going_on_from_a_shorter_run_gives_the_same_bytes(start, examples, tmp_path, dtype, frozen):
    settings = SETTINGS | {"dropout": 0.1, "schedule": "constant", "weight_decay": 0.1, "warmup": 3}
    settings |= {"dtype": dtype, "frozen_layers": frozen}
    path = tmp_path / "state.safetensors"
    short = train(start, examples, settings | {"epochs": 1})
    save_state(short.state, path, {"seed": 0})
    begin = load_state(path, {"seed": 0})
    continued, alone = (train(start, examples, settings | {"epochs": 3}, begin=state) for state in (begin, None))
    assert continued.summary["steps_of_shorter_run"] == len(short.steps) == 6
    timeless = [[{**row, "seconds": 0} for row in trained.steps] for trained in (continued, alone)]
    assert timeless[0] == timeless[1]
    assert all(torch.equal(continued.weights[name], alone.weights[name]) for name in alone.weights)


def test_a_state_that_cannot_be_used_is_left_aside(start, examples, tmp_path, caplog):
    path = tmp_path / "state.safetensors"
    save_state(train(start, examples).state, path, {"seed": 0})
    assert load_state(path, {"seed": 0}) is not None
    assert load_state(path, {"seed": 1}) is None
    assert "another training" in caplog.text
    path.write_bytes(path.read_bytes()[:-100])
    assert load_state(path, {"seed": 0}) is None
    assert "is damaged" in caplog.text


def test_a_shorter_run_that_diverged_ends_the_longer_one_alike(start, examples):
    settings = SETTINGS | {"schedule": "constant", "learning_rate": 1e30, "clip_norm": 1e30}
    short, alone = (train(start, examples, settings | {"epochs": epochs}) for epochs in (1, 2))
    continued = train(start, examples, settings | {"epochs": 2}, begin=short.state)
    assert continued.summary["reason"] == alone.summary["reason"]
    assert len(continued.steps) == len(alone.steps)


def test_every_epoch_is_a_new_permutation_of_all_examples():
    first, second = ([n for batch in epoch_batches(10, 4, 0, epoch) for n in batch] for epoch in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [len(batch) for batch in epoch_batches(10, 4, 0, 0)] == [4, 4, 2]


def test_divergence_is_a_result_and_not_a_failure(start, examples, tmp_path):
    trained = train(start, examples, SETTINGS | {"learning_rate": 1.0e30, "clip_norm": 1e30})
    assert trained.summary["status"] == "diverged"
    assert "at step" in trained.summary["reason"] or "not finite" in trained.summary["reason"]
    assert trained.weights is None
    save_trained(trained, tmp_path / "model", start=start, classes=CLASSES)
    assert not (tmp_path / "model" / "model.safetensors").exists()


def test_frozen_layers_keep_their_weights(start, examples):
    before, _ = checkpoint.load_model(start)
    after = train(start, examples, SETTINGS | {"frozen_layers": 1, "weight_decay": 0.1}).weights
    still = [name for name in before if torch.equal(before[name], after[name])]
    frozen = [name for name in before if "embeddings" in name or "layer.0." in name]
    assert sorted(still) == sorted(frozen)


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_updates_are_those_of_pytorch_and_only_matrices_decay(start, clip):
    weights = checkpoint.load_model(start)[0]
    theirs = [weight.clone().requires_grad_() for weight in weights.values()]
    matrices, vectors = ([weight for weight in theirs if (weight.ndim >= 2) is wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=0.01)
    moments = Moments.zero(weights)
    draw = torch.Generator().manual_seed(0)
    for _ in range(3):
        for weight, other in zip(weights.values(), theirs, strict=True):
            weight.grad = torch.randn(weight.shape, generator=draw)
            other.grad = weight.grad.clone()
        theirs_norm = torch.nn.utils.clip_grad_norm_(theirs, clip)
        optimiser.step()
        norm = update(weights, moments, learning_rate=0.01, weight_decay=0.3, clip_norm=clip)
        assert norm == pytest.approx(float(theirs_norm), rel=1e-6)
    assert all(weight.grad is None for weight in weights.values())
    for weight, other in zip(weights.values(), theirs, strict=True):
        torch.testing.assert_close(weight, other.data, rtol=1e-6, atol=1e-7)


def test_the_trained_folder_is_a_hugging_face_model(start, examples, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    trained = train(start, examples)
    save_trained(trained, tmp_path / "model", start=start, classes=CLASSES)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert torch.equal(model.state_dict()["classifier.weight"], trained.weights["classifier.weight"])
    ids = AutoTokenizer.from_pretrained(tmp_path / "model")("the film was good")["input_ids"]
    assert ids[0] == 2
    assert ids[-1] == 3


def test_a_head_of_another_size_is_replaced_from_the_seed(start):
    drawn = []
    for seed in (0, 0, 1):
        weights, architecture = checkpoint.load_model(start)
        said = checkpoint.fit_head(weights, architecture, CLASSES, ["a", "b", "c"], seed)
        drawn.append(weights["classifier.weight"])
    assert said.code == Head.NEW
    assert drawn[0].shape == (3, 32)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].std() == pytest.approx(0.02, rel=0.3)


def test_a_head_with_the_same_classes_in_another_order_is_put_in_order(start):
    weights, architecture = checkpoint.load_model(start)
    rows = weights["classifier.weight"].clone()
    checkpoint.fit_head(weights, architecture, ["POSITIVE", "NEGATIVE"], CLASSES, 0)
    assert torch.equal(weights["classifier.weight"], rows.flip(0))


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [("batch_size", 45, "44"), ("train_examples", 45, "44"), ("frozen_layers", 3, "2"), ("max_length", 65, "64")],
)
def test_settings_that_do_not_fit_are_named(start, examples, setting, value, allowed):
    with pytest.raises(InputError, match=rf"{setting}.*found {value}.*at most {allowed}"):
        train(start, examples, SETTINGS | {setting: value})


def test_fewer_examples_than_classes_are_refused_with_both_numbers(start, examples):
    labels = np.arange(len(examples.labels)) % 5
    plan = Plan(
        start,
        replace(examples, labels=labels),
        list("abcde"),
        SETTINGS | {"train_examples": 4, "batch_size": 4},
        0,
        1,
        "test",
    )
    error = refusal(train_model, plan)
    assert error.where == "setting train_examples"
    assert error.found == "4 for 5 classes"


def test_a_head_of_other_names_is_refused_before_a_step_where_it_is_to_be_kept(start, examples):
    names, meanings = ["yes", "no"], {"NEGATIVE": "no", "POSITIVE": "yes"}
    plan = Plan(start, examples, names, SETTINGS, 0, 1, "test", keeps_head=True)
    assert "`head: " in refusal(train_model, plan).remedy
    assert train_model(replace(plan, keeps_head=False)).summary["head"] == Head.REPLACED
    assert train_model(replace(plan, head=meanings)).summary["head"] == Head.REORDERED


def test_progress_shows_on_a_terminal_only(start, examples, capsys, monkeypatch):
    train(start, examples)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    train(start, examples)
    *_, last, emptied = capsys.readouterr().err.rstrip("\r").split("\r")
    assert last.startswith("test: 100%")
    assert "12/12" in last
    assert "step/s, epoch=2.0, loss=0." in last
    assert not emptied.strip()  # the line is left to what comes next


def test_bfloat16_follows_float32_and_keeps_float32_weights(start, examples):
    exact, rounded = (train(start, examples, SETTINGS | {"dtype": name}) for name in ("float32", "bfloat16"))
    losses = [[row["loss"] for row in trained.steps] for trained in (exact, rounded)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], atol=0.03)  # bfloat16 has eight bits: 0.4 % a product
    assert {tensor.dtype for tensor in rounded.weights.values()} == {torch.float32}
    assert rounded.summary["dtype_used"] == "bfloat16"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_follows_the_cpu_and_repeats_itself(start, examples, monkeypatch):
    on_gpu = [train(start, examples, SETTINGS | {"dropout": 0.1}).steps for _ in range(2)]
    assert [row["loss"] for row in on_gpu[0]] == [row["loss"] for row in on_gpu[1]]
    exact = train(start, examples).steps
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    np.testing.assert_allclose(
        [row["loss"] for row in exact], [row["loss"] for row in train(start, examples).steps], atol=1e-4
    )


@pytest.mark.parametrize(
    ("flags", "native"),
    [("fpu avx512_bf16 avx2", True), ("fpu amx_bf16", True), ("asimd bf16", True), ("fpu avx2", False)],
)
def test_bfloat16_is_chosen_where_the_processor_has_it(tmp_path, flags, native):
    (tmp_path / "cpuinfo").write_text(f"model name\t: some\nflags\t\t: {flags}\n")
    assert machine.has_bfloat16(tmp_path / "cpuinfo") is native
    assert machine.has_bfloat16(tmp_path / "absent") is False


@pytest.mark.parametrize("frozen", [0, 1])
def test_words_that_do_not_occur_decay_as_pytorch_decays_them(start, examples, frozen):
    settings = SETTINGS | {"weight_decay": 0.3, "frozen_layers": frozen, "warmup": 0.2}
    trained = train(start, examples, settings)
    name = "distilbert.embeddings.word_embeddings.weight"
    before = checkpoint.load_model(start)[0][name]
    absent = sorted(set(range(len(before))) - set(examples.tokens.tolist()))
    expected = torch.nn.Parameter(before[absent].clone())
    optimiser = torch.optim.AdamW([expected], weight_decay=0.3)
    expected.grad = torch.zeros_like(expected)
    for row in trained.steps if not frozen else []:
        optimiser.param_groups[0]["lr"] = row["learning_rate"]
        optimiser.step()
    assert absent
    torch.testing.assert_close(trained.weights[name][absent], expected.data, rtol=1e-6, atol=0)
    assert torch.equal(trained.weights[name][absent], before[absent]) is bool(frozen)
