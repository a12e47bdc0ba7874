"""Model cards that the installed Trainer writes, that older ones wrote, and that nobody should have written."""

from __future__ import annotations

import math
import string

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
)
from transformers.modelcard import TrainingSummary

from finevar.columns import MODEL_CARDS
from finevar.found.cards import Card, read_card
from finevar.found.lines import plain_number
from finevar.metrics import ON_CARDS

BASE = "distilbert-base-uncased-finetuned-sst-2-english"


def read(text: str, name: str = "owner/model") -> dict:
    """Read a card and check that it is a row of the table that cards are written to."""
    row = read_card(Card(name, text, "owner"))
    assert pa.Table.from_pylist([row], schema=MODEL_CARDS).num_rows == 1
    return row


# Cards of the installed Trainer ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a tiny model with some arguments; return its card as Trainer writes it, and the Trainer."""

    def train(arguments: dict, callbacks=(), metrics=None) -> tuple[str, Trainer]:
        config = DistilBertConfig(
            vocab_size=20, dim=8, hidden_dim=8, n_layers=1, n_heads=2, max_position_embeddings=8, _name_or_path=BASE
        )
        rows = [{"input_ids": [1, 2, 3], "labels": number % 2} for number in range(24)]
        folder = tmp_path_factory.mktemp("trained")
        common = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "eval_strategy": "epoch"}
        trainer = Trainer(
            model=DistilBertForSequenceClassification(config),
            args=TrainingArguments(output_dir=str(folder), **{"save_strategy": "no"} | common | arguments),
            train_dataset=rows,
            eval_dataset=rows,
            compute_metrics=metrics or (lambda _: {"accuracy": 0.123456789, "f1": 0.25}),
            callbacks=list(callbacks),
        )
        trainer.train()
        trainer.evaluate()
        trainer.create_model_card(
            dataset_tags="glue",
            dataset="GLUE SST2",
            dataset_args="sst2",
            finetuned_from=BASE,
            tasks="text-classification",
            license="mit",
        )
        return (folder / "README.md").read_text(encoding="utf-8"), trainer

    return train


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 5e-5, "per_device_train_batch_size": 8, "num_train_epochs": 2},
        {"learning_rate": 1.25e-4, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 4, "seed": 7},
        {
            "learning_rate": 0.001,
            "num_train_epochs": 1.5,
            "warmup_steps": 5,
            "lr_scheduler_type": "cosine",
            "per_device_eval_batch_size": 5,
        },
    ],
)
def test_a_card_of_the_installed_trainer_gives_its_settings_back(trained, arguments):
    text, trainer = trained({"num_train_epochs": 1, "per_device_train_batch_size": 4} | arguments)
    row, args = read(text), trainer.args
    assert row["reason"] is None
    assert row["kind"] == "trainer"
    assert row["learning_rate"] == args.learning_rate
    assert row["train_batch_size"] == args.train_batch_size
    assert row["eval_batch_size"] == args.eval_batch_size
    assert row["batch_size"] == args.train_batch_size * args.gradient_accumulation_steps
    assert row["epochs_asked"] == args.num_train_epochs
    assert row["seed_stated"] == args.seed
    assert row["schedule"] == args.lr_scheduler_type.value
    assert row.get("warmup_steps", 0) == args.warmup_steps
    assert (row["base_model"], row["task"]) == (BASE, "text-classification")
    assert (row["dataset"], row["subset"], row["data"]) == ("glue", "sst2", "glue/sst2")
    evaluated = trainer.evaluate()
    assert (row["accuracy"], row["f1"]) == (evaluated["eval_accuracy"], evaluated["eval_f1"])  # the metadata's digits
    assert row["loss"] == pytest.approx(evaluated["eval_loss"], abs=5e-5)
    assert row["last_loss"] == pytest.approx(evaluated["eval_loss"], abs=5e-5)
    assert row["epochs_run"] == pytest.approx(trainer.state.epoch, abs=1e-4)
    assert row["steps_run"] == trainer.state.global_step
    assert row["headline"] in ("last", "last and best")


def test_a_training_that_stopped_early_is_seen_in_its_card(trained):
    losing = iter(range(10))
    text, trainer = trained(
        {
            "num_train_epochs": 9,
            "per_device_train_batch_size": 8,
            "save_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "accuracy",
            "greater_is_better": True,
        },
        callbacks=[EarlyStoppingCallback(early_stopping_patience=1)],
        metrics=lambda _: {"accuracy": 1 - next(losing) / 10},
    )
    row = read(text)
    assert (row["epochs_asked"], row["epochs_run"], row["eval_interval"]) == (9, trainer.state.epoch, 1)
    assert row["epochs_run"] < 9


NUMBERS = st.floats(0, 1).map(lambda value: round(value, 6))
RATES = st.one_of(st.floats(1e-8, 1e-2), st.sampled_from([5e-5, 2e-05, 1e-4]))


@settings(max_examples=150, deadline=None)
@given(
    rate=RATES,
    batch=st.integers(1, 4096),
    accumulate=st.integers(1, 64),
    epochs=st.floats(0.01, 500).map(lambda value: round(value, 3)),
    seed=st.integers(0, 2**32 - 1),
    accuracy=NUMBERS,
    f1=NUMBERS,
    loss=st.floats(0, 50).map(lambda value: round(value, 6)),
    stated=st.booleans(),
)
def test_what_is_stated_is_read_and_what_is_not_stays_unknown(
    rate, batch, accumulate, epochs, seed, accuracy, f1, loss, stated
):
    hyperparameters = {"learning_rate": rate, "train_batch_size": batch, "eval_batch_size": 8, "seed": seed}
    if accumulate > 1:
        hyperparameters |= {"gradient_accumulation_steps": accumulate, "total_train_batch_size": batch * accumulate}
    if stated:
        hyperparameters["num_epochs"] = epochs
    summary = TrainingSummary(
        "model",
        license="mit",
        finetuned_from=BASE,
        tasks="text-classification",
        dataset="glue",
        dataset_tags="glue",
        eval_results={"Loss": loss, "Accuracy": accuracy, "F1": f1},
        hyperparameters=hyperparameters,
    )
    row = read(summary.to_model_card())
    assert (row["learning_rate"], row["train_batch_size"], row["seed_stated"]) == (rate, batch, seed)
    assert row["batch_size"] == batch * accumulate
    assert (row["accuracy"], row["f1"]) == (accuracy, f1)
    assert row["loss"] == pytest.approx(loss, abs=5.01e-5)
    assert row.get("epochs_asked") == (epochs if stated else None)
    assert row["reason"] == (None if stated else "it does not state epochs_asked")


# Other generations, and other hands -----------------------------------------------------------------------------------

TABLE = """
| Training Loss | Epoch | Step | Validation Loss | Accuracy |
|:-------------:|:-----:|:----:|:---------------:|:--------:|
| 0.5           | 1.0   | 100  | 0.3000          | 0.9000   |
| 0.2           | 2.0   | 200  | 0.4000          | 0.9100   |
| No log        | 3.0   | 300  | 0.5000          | 0.9050   |
"""
SETTINGS = """
### Training hyperparameters

The following hyperparameters were used during training:
- learning_rate: 2e-05
- train_batch_size: 16
- eval_batch_size: 16
- seed: 42
- optimizer: Adam with betas=(0.9,0.999) and epsilon=1e-08
- lr_scheduler_type: linear
- num_epochs: 3.0
"""
OPENING = f"""
# sentiment

This model is a fine-tuned version of [{BASE}](https://huggingface.co/{BASE}) on the imdb dataset.
It achieves the following results on the evaluation set:
"""


def test_a_card_of_2021_with_its_task_and_data_in_the_metadata():
    head = """---
license: apache-2.0
tags: [generated_from_trainer]
datasets: [glue]
model_index:
  name: old
---
"""
    row = read(f"{head}{OPENING}- Loss: 0.5000\n- Accuracy: 0.9050\n{SETTINGS}\n### Training results\n{TABLE}")
    assert (row["dataset"], row["base_model"], row["kind"]) == ("glue", BASE, "trainer")
    assert (row["loss"], row["accuracy"], row["headline"]) == (0.5, 0.905, "last")
    assert (row["best_loss"], row["best_accuracy"]) == (0.3, 0.9)
    assert (row["epochs_run"], row["steps_run"], row["eval_interval"]) == (3.0, 300, 1.0)


@pytest.mark.parametrize(
    ("values", "headline"),
    [
        ("- Loss: 0.3000\n- Accuracy: 0.9000\n", "best"),
        ("- Loss: 0.4000\n- Accuracy: 0.9100\n", "another row"),
        ("- Loss: 0.6123\n- Accuracy: 0.8000\n", "no row"),
    ],
)
def test_which_evaluation_the_headline_is(values, headline):
    row = read(f"{OPENING}{values}{SETTINGS}\n### Training results\n{TABLE}")
    assert row["headline"] == headline
    assert (row["last_loss"], row["best_loss"]) == (0.5, 0.3)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("- eval_loss: 0.25\n- eval_accuracy: 0.91\n- eval_runtime: 3.2\n- epoch: 3.0\n", (0.25, 0.91, None)),
        ("- **Loss**: 0.25\n- **Accuracy:** 0.91\n- **F1:** 0.9\n", (0.25, 0.91, 0.9)),
        ("- Loss: 0.25\n- Accuracy: {'accuracy': 0.91}\n- F1: {'f1': 0.9}\n", (0.25, 0.91, 0.9)),
        ("* Loss = 0.25\n* Accuracy = 91.5%\n", (0.25, 0.915, None)),
        ("- Loss: 0.25\n- Accuracy: 91.5\n", (0.25, None, None)),  # percent, or what? not said
        ("- Loss: nan\n- Accuracy: 0.91\n", (None, 0.91, None)),
        ("- Loss: 0.25\n- F1: [0.99143577 0.99156328]\n", (0.25, None, None)),
        ("- Loss: 0.25\n- Loss: 0.26\n- Accuracy: 0.91\n", (None, 0.91, None)),
        ("- Loss: 0.25\n- F1 Macro: 0.7\n- F1 Micro: 0.8\n", (0.25, None, None)),
        ("- Loss: 0.25\n- Macro F1: 0.7\n", (0.25, None, 0.7)),
        ("- Train Loss: 0.05\n- Validation Loss: 0.25\n- Validation Accuracy: 0.91\n- Epoch: 2\n", (0.25, 0.91, None)),
    ],
)  # fmt: skip
def test_metrics_as_people_and_programs_write_them(lines, expected):
    row = read(f"{OPENING}{lines}{SETTINGS}")
    assert (row["loss"], row["accuracy"], row["f1"]) == expected


@pytest.mark.parametrize(
    "table",
    [
        "| Metric | Value |\n|--|--|\n| Accuracy | 0.91 |\n| F1 | 90 % |\n| Loss | 0,31 |",
        "| Accuracy | F1 | Loss |\n|--|--|--|\n| 0.91 | 0.9 | 0.31 |",
        "Metric | Score\n--|--\nAccuracy | 0.91\nF1 | 0.9\nLoss | 0.31",
    ],
)
def test_metrics_in_a_table_below_a_heading_of_results_are_read(table):
    row = read(f"# m\n\n## Results\n\n{table}\n")
    assert (row["accuracy"], row["f1"], row["loss"]) == (0.91, 0.9, 0.31)


def test_a_table_of_several_models_or_classes_has_no_headline():
    models = "| Model | Accuracy | F1 |\n|--|--|--|\n| a | 0.91 | 0.9 |\n| b | 0.92 | 0.9 |"
    classes = "| | precision | f1-score | support |\n|--|--|--|--|\n| a | 0.9 | 0.8 | 9 |\n| accuracy | | 0.91 | 18 |"
    training = "| Split | Accuracy | Loss |\n|--|--|--|\n| train | 0.99 | 0.01 |"
    for table in (models, classes, training):
        row = read(f"# m\n\n## Results\n\n{table}\n")
        assert (row["accuracy"], row["f1"], row["loss"]) == (None, None, None)


def test_raw_keys_tell_when_their_evaluation_was():
    row = read(f"{OPENING}- eval_loss: 0.25\n- eval_runtime: 3.2\n- epoch: 1.5\n- step: 150\n{SETTINGS}")
    assert (row["epochs_run"], row["steps_run"], row["eval_interval"]) == (1.5, 150, None)
    assert read(f"{OPENING}- eval_loss: 0.25\n- step: 0\n{SETTINGS}")["steps_run"] is None  # nothing was trained
    assert read(f"{OPENING}- Validation Loss: 0.25\n- Epoch: 2\n{SETTINGS}")["epochs_run"] is None  # counted from 0


@pytest.mark.parametrize("name", ["None", "csv", "generator", "/content/custom_data", "imagefolder"])
def test_what_is_no_data_set_is_none(name):
    head = f"---\ndatasets:\n- {name}\n---\n"
    assert read(f"{head}{OPENING.replace('imdb', name)}- Loss: 0.25\n{SETTINGS}")["data"] == ""


@pytest.mark.parametrize(
    ("head", "task"),
    [
        ("pipeline_tag: text-classification", "text-classification"),
        ("tags: [generated_from_trainer, token-classification]", "token-classification"),
        ("tags: [text-classification, token-classification]", None),
        ("license: mit", None),
    ],
)
def test_a_task_is_known_where_it_is_named(head, task):
    assert read(f"---\n{head}\n---\n{OPENING}- Loss: 0.25\n{SETTINGS}")["task"] == task


@pytest.mark.parametrize(
    ("lines", "average"),
    [
        ("- F1: 0.7\n", None),
        ("- F1 Macro: 0.7\n", "macro"),
        ("- F1: 0.7\n- F1 Weighted: 0.7\n- F1 Macro: 0.6\n", "weighted"),
    ],
)
def test_how_f1_is_averaged_is_known_where_it_is_said(lines, average):
    row = read(f"{OPENING}- Loss: 0.25\n{lines}{SETTINGS}")
    assert (row["f1"], row["f1_average"]) == (0.7, average)


def test_effective_batch_is_the_stated_total_or_the_product_of_what_is_stated():
    def batch(lines: str) -> int | None:
        return read(f"{OPENING}- Loss: 0.25\n{SETTINGS}{lines}")["batch_size"]

    assert batch("") == 16
    assert batch("- gradient_accumulation_steps: 4\n- total_train_batch_size: 128\n- num_devices: 2\n") == 128
    assert batch("- gradient_accumulation_steps: 4\n- num_devices: 2\n") == 128
    assert batch("- gradient_accumulation_steps: some\n") is None  # it was not 1, and what it was is not known


@pytest.mark.parametrize(
    "line", ["learning_rate: 0", "learning_rate: 5e", "train_batch_size: 16.5", "num_epochs: -3", "num_epochs: 1e999"]
)
def test_an_impossible_setting_is_unknown_and_noted(line):
    name, _, value = line.partition(": ")
    text = "\n".join(line if row.startswith(f"- {name}") else row for row in SETTINGS.split("\n"))
    row = read(f"{OPENING}- Loss: 0.25\n{text}")
    assert f" reads {value}, which " in row["reason"]
    assert row["reason"] in row["notes"]


def test_a_setting_that_is_stated_twice_is_unknown():
    row = read(f"{OPENING}- Loss: 0.25\n{SETTINGS}- num_epochs: 5\n")
    assert row["epochs_asked"] is None
    assert "epochs_asked is stated as 3.0 and as 5.0" in row["notes"]


@pytest.mark.parametrize(
    "lines",
    [
        "## Training Procedure\n\n**Learning Rate:** 5e-5\n* Batch size: 16\n- Epochs: 5\n",
        "###### Fine-tuning hyper-parameters\n\n- learning_rate = 5e-5\n- batch_size = 16\n- num_train_epochs = 5.0\n",
    ],
)
def test_hand_written_settings(lines):
    row = read(f"{OPENING}- Loss: 0.25\n\n{lines}")
    assert (row["learning_rate"], row["batch_size"], row["epochs_asked"], row["kind"]) == (5e-5, 16, 5, "other")


def test_metadata_and_text_that_contradict_each_other():
    head = """---
base_model: distilbert-base-uncased
tags: [generated_from_trainer]
model-index:
- name: x
  results:
  - task: {type: text-classification}
    dataset: {name: imdb, type: imdb, config: plain_text, split: test}
    metrics:
    - {type: accuracy, name: Accuracy, value: 0.95}
---
"""
    row = read(f"{head}{OPENING}- Loss: 0.25\n- Accuracy: 0.91\n{SETTINGS}")
    assert (row["base_model"], row["accuracy"]) == (None, None)
    assert "started from distilbert-base-uncased, its text from" in row["notes"]
    assert "accuracy is 0.91 in the text and 0.95 in the metadata" in row["notes"]
    assert (row["dataset"], row["subset"], row["split"]) == ("imdb", "plain_text", "test")


def test_the_oldest_models_got_their_organisation_later():
    head = f"---\nbase_model: distilbert/{BASE}\n---\n"
    assert read(f"{head}{OPENING}- Loss: 0.25\n{SETTINGS}")["base_model"] == f"distilbert/{BASE}"


def test_metrics_that_somebody_else_measured_are_not_the_headline():
    head = """---
model-index:
- name: x
  results:
  - task: {type: text-classification}
    dataset: {name: imdb, type: imdb}
    metrics:
    - {type: accuracy, value: 0.5, verified: true, verifyToken: abc}
---
"""
    assert read(f"{head}{OPENING}- Loss: 0.25\n{SETTINGS}")["accuracy"] is None


def test_a_keras_card_is_recognised_and_used_as_far_as_it_goes():
    text = """---
tags: [generated_from_keras_callback]
---
<!-- This model card has been generated automatically according to the information Keras had access to. -->
# x
This model is a fine-tuned version of [distilbert-base-uncased](https://hf.co/x) on an unknown dataset.
It achieves the following results on the evaluation set:
- Train Loss: 0.05
- Validation Loss: 0.25
- Epoch: 2

### Training hyperparameters

The following hyperparameters were used during training:
- optimizer: {'name': 'Adam', 'learning_rate': {'class_name': 'Decay', 'config': {'initial_learning_rate': 2e-05}}}
- training_precision: float32

### Training results

| Train Loss | Validation Loss | Epoch |
|:----------:|:---------------:|:-----:|
| 0.1        | 0.3             | 0     |
| 0.07       | 0.2             | 1     |
| 0.05       | 0.25            | 2     |
"""
    row = read(text)
    assert (row["kind"], row["loss"], row["data"]) == ("keras", 0.25, "")
    assert (row["learning_rate"], row["epochs_run"], row["headline"], row["best_loss"]) == (2e-5, 3, "last", 0.2)
    assert row["reason"] == "it does not state batch_size, epochs_asked"


def test_an_autotrain_card_is_recognised_and_used_as_far_as_it_goes():
    text = """---
tags: [autotrain, text-classification]
---
# Model Trained Using AutoTrain

- Problem type: Binary Classification
- CO2 Emissions (in grams): 2.7

## Validation Metrics
- Loss: 0.25
- Accuracy: 0.91
- F1: 0.9
"""
    row = read(text)
    assert (row["kind"], row["loss"], row["accuracy"], row["f1"]) == ("autotrain", 0.25, 0.91, 0.9)
    assert row["reason"] == "it does not state learning_rate, batch_size, epochs_asked"


def test_values_in_code_are_examples():
    text = f"{OPENING}- Loss: 0.25\n{SETTINGS}\n```\n- learning_rate: 1\n## Results\n- Accuracy: 0.1\n```\n"
    row = read(text)
    assert (row["learning_rate"], row["accuracy"]) == (2e-5, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the card is empty"),
        (
            "# A model\n\nIt is good.\n",
            "a card of kind other without metrics and without learning_rate, batch_size, epochs_asked",
        ),
        ("x" * 1_000_001, "the card has 1,000,001 characters, more than 1,000,000"),
        (
            f"{OPENING}- Loss: 0.2\n{SETTINGS.replace('num_epochs: 3.0', 'training_steps: 100')}",
            "it states steps in place of epochs",
        ),
        (SETTINGS, "it states no metric"),
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_used_says_why_in_a_line(text, reason):
    assert read(text)["reason"] == reason


# Hostile cards --------------------------------------------------------------------------------------------------------

LAUGHS = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9))


@pytest.mark.parametrize(
    "text",
    [
        f"---\na: &a [x,x,x,x,x,x,x,x,x,x]\n{LAUGHS}tags: *j\ndatasets: *j\nbase_model: *j\nmodel-index: *j\n---\n",
        "---\na: " + "[" * 5_000 + "]" * 5_000 + "\n---\n",
        "---\n!!python/object/apply:os.system ['touch /tmp/never']\n---\n",
        "---\na: 1\na: 2\n---\n",
        "---\nmodel-index: 3\ntags: 7\nbase_model: {a: b}\ndatasets: [{}, [], null]\n---\n",
        "---\n- a\n- b\n---\n",
        "## Results\n- Loss" + " " * 200_000 + ": 1\n",
        "## Results\n- Accuracy: {" + "'a': " * 100 + "\n",
        "## Results\n- Accuracy: " + "(" * 900 + "\n",
        "fine-tuned version of " * 20_000 + " on the ",
        "| Epoch | Validation Loss |\n|:--:|:--:|\n" + "| 1 | 2 |\n" * 20_000,
        "\ud800\x00\x1b[31m## Results\n- Loss: 1\n",
        "---\n" * 50_000,
    ],
    ids=range(13),
)
def test_hostile_cards_are_read_in_no_time_and_do_nothing(text):
    assert "card_sha256" in read(text)


FRAGMENTS = st.sampled_from(
    [
        "---\n", "- Loss: ", "- Accuracy: ", "0.5", "1e-5", "nan", "{'f1': ", "}", "[", "]", "|", "\n", " ", "**", "%",
        "It achieves the following results on the evaluation set:\n", "### Training hyperparameters\n",
        "- learning_rate: ", "- num_epochs: ", "| Epoch | Validation Loss |\n", "|:-:|:-:|\n", "| 1.0 | 0.5 |\n",
        "model-index:\n", "- name: x\n", "  results:\n", "base_model: ", "a: *b\n",
        "```\n", "\ufeff", "-", "e", "\u0663",
        "9" * 400,
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=20)), max_size=40).map("".join))
def test_any_text_gives_a_row_with_a_reason_or_with_facts(text):
    row = read(text)
    assert all(row.get(name) is None or 0 <= row[name] < math.inf for name in ON_CARDS)
    assert row["reason"] or (row["learning_rate"] > 0 and row["batch_size"] >= 1 and row["epochs_asked"] > 0)


@given(st.text(alphabet=string.digits + ".eE+-% *,", max_size=12))
def test_a_number_is_what_python_takes_for_one_or_nothing(text):
    value = plain_number(text)
    if value is not None:
        word = text.strip().strip("*").strip().rstrip(".,;").strip()
        share = word.endswith("%")
        assert value == pytest.approx(float(word.removesuffix("%").strip().replace(",", ".")) / (100 if share else 1))
