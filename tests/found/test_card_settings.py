"""Settings as people write them: read where there is no doubt, else named with what stands there."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modelcard import TrainingSummary

from finevar.found.card_settings import SETTINGS, setting_number
from finevar.found.cards import Card, read_card
from finevar.found.lines import plain_number

OPENING = """# tickets

This model is a fine-tuned version of [roberta-base](https://huggingface.co/roberta-base) on the tickets dataset.
It achieves the following results on the evaluation set:
- Loss: 0.4
- Accuracy: 0.87

## Training procedure

"""
LIST = ["- learning_rate: 3e-5", "- train_batch_size: 24", "- num_epochs: 4"]
ASKED = ("learning_rate", "batch_size", "epochs_asked")


def read(lines: list[str] | str) -> dict:
    """Read a card whose section on training has these lines."""
    body = lines if isinstance(lines, str) else "\n".join(lines)
    return read_card(Card("owner/model", f"{OPENING}{body}\n", "owner"))


@pytest.mark.parametrize(
    "body",
    [
        "- `learning_rate`: 3e-5\n- `train_batch_size`: `24`\n- `num_epochs`: 4",
        "- **learning_rate**: 3e-5\n- **train_batch_size:** 24\n- __num_epochs__: **4**",
        "- learning\\_rate: 3e-5\n- per\\_device\\_train\\_batch\\_size: 24\n- num\\_train\\_epochs: 4",
        "1. Learning rate: 3e-5\n2. Batch size: 24\n3. Number of epochs: 4",
        "| Hyperparameter | Value |\n|---|---|\n| learning_rate | 3e-5 |\n| batch_size | 24 |\n| epochs | 4 |",
        "| Parameter | Value | Comment |\n|:-|:-:|-|\n| `lr` | 3e-5 | peak |\n| batch_size | 24 | |\n| epochs | 4 | |",
        "| learning_rate | train_batch_size | num_epochs |\n|---|---|---|\n| 3e-5 | 24 | 4 |",
        "```python\nargs = TrainingArguments(\n    'out', learning_rate=3e-5,\n    per_device_train_batch_size=24,\n"
        "    num_train_epochs=4,  # enough\n)\n```",
        "```\n>>> args = transformers.TrainingArguments(\n... learning_rate=3e-5,\n"
        "... per_device_train_batch_size=24,\n... num_train_epochs=4)\n```",
        "~~~\nTrainingArguments(learning_rate=3e-5, per_device_train_batch_size=24, "
        "num_train_epochs=4, and so on)\n~~~",
        "```bash\npython run_glue.py \\\n  --learning_rate 3e-5 --per_device_train_batch_size=24 \\\n"
        "  --num_train_epochs 4\n```",
        "- learning_rate: 0.003%\n- train_batch_size: 24\n- num_epochs: 4",
        "- learning_rate: 0,00003\n- train_batch_size: 24\n- num_epochs: 4,0",
        "- learning_rate: 3 \u00d7 10^-5\n- train_batch_size: 24 samples\n- num_epochs: 4 epochs",
        "- learning_rate: 3e\u22125 (linear decay)\n- train_batch_size: 24 (one GPU)\n- num_epochs: 4 (the default)",
        "- learning_rate: 3e-05 with linear decay\n- train_batch_size: 24\n- num_epochs: 4",
        "Parameter | Value\n--|--\nlearning_rate | 3e-5\nbatch_size | 24\nepochs | 4",
        "| Value | Parameter |\n|--|--|\n| 3e-5 | learning_rate |\n| 24 | batch_size |\n| 4 | epochs |",
        "| Name | What it is | **Value** |\n|-|-|-|\n| lr | | 3e-5 |\n| batch_size | | 24 |\n| epochs | | 4 |",
        "```yaml\nlearning_rate: 3e-5\nbatch_size: 24  # a step\nnum_epochs: 4\n```",
        '```json\n{"learning_rate": 3e-5, "per_device_train_batch_size": 24, "num_train_epochs": 4}\n```',
        '```python\nconfig = {\n    "learning_rate": 3e-5,\n    "batch_size": 24,\n    "epochs": 4,\n}\n```',
        "```python\nlearning_rate = 3e-5\nbatch_size = 24\nepochs = 4  # enough\n```",
        "learning_rate=3e-5, batch_size=24, epochs=4",
        "- Learning rate: 3e-5; batch size: 24; epochs: 4",
    ],
    ids=range(25),
)  # fmt: skip
def test_forms_that_leave_no_doubt_are_read(body):
    row = read(body)
    assert (row["reason"], row["learning_rate"], row["batch_size"], row["epochs_asked"]) == (None, 3e-5, 24, 4)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("learning_rate: 1e-4 (5e-4 for the head)", "learning_rate reads 1e-4 (5e-4 for the head)"),
        ("train_batch_size: 16*2", "train_batch_size reads 16*2"),
        ("learning_rate: 1e-5 or 3e-5", "learning_rate reads 1e-5 or 3e-5"),
        ("learning_rate: see the script", "learning_rate reads see the script"),
        ("train_batch_size: 16 (per device)", "train_batch_size reads 16 (per device)"),
        ("train_batch_size: 16 (two GPUs)", "train_batch_size reads 16 (two GPUs)"),
        ("num_epochs: 10 (early stopping)", "epochs_asked reads 10 (early stopping)"),
        ("num_epochs: 3 hours", "epochs_asked reads 3 hours"),
        ("num_epochs: 1,234", "epochs_asked reads 1,234"),
    ],
)
def test_what_is_stated_in_doubt_is_named_with_what_stands_there(line, written):
    name = line.partition(":")[0]
    row = read([f"- {line}" if other.startswith(f"- {name}") else other for other in LIST])
    assert row["reason"] == f"{written}, which could not be read"
    assert row["reason"] in row["notes"]


@pytest.mark.parametrize("value", ["0.87 (test)", "about 0.9", "93,456"])
def test_metrics_that_could_not_be_read_are_named_too(value):
    text = OPENING.replace("- Loss: 0.4\n", "").replace("Accuracy: 0.87", f"Accuracy: {value}")
    row = read_card(Card("owner/model", "\n".join([text, *LIST]), "owner"))
    assert row["reason"] == f"accuracy reads {value}, which is no single number"


def test_reasons_name_what_could_not_be_read_beside_what_is_not_stated():
    row = read(["- learning_rate: auto", "- train_batch_size: 24"])
    assert row["reason"] == "learning_rate reads auto, which could not be read; it does not state epochs_asked"
    twice = read([*LIST, "- num_epochs: 5"])
    assert twice["reason"] == "epochs_asked is stated as 4.0 and as 5.0"
    impossible = read([LIST[0], LIST[1], "- num_epochs: -3"])
    assert impossible["reason"] == "epochs_asked reads -3, which it cannot be"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Trained for 4 epochs with a learning rate of 3e-5 and a batch size of 24.",
            ["learning rate of 3e-5", "batch size of 24", "4 epochs"],
        ),
        ("<tr><td>learning_rate</td><td>3e-5</td></tr>", ["learning_rate</td><td>3e-5"]),
    ],
)
def test_what_stands_in_sentences_is_not_called_unstated(text, found):
    reason = read(text)["reason"]
    assert all(f"({words})" in reason for words in found)
    assert ("does not state" in reason) == (len(found) < len(ASKED))


def test_a_table_of_several_trainings_and_code_that_trains_nothing_are_not_read():
    search = "| learning_rate | batch_size | accuracy |\n|-|-|-|\n| 1e-5 | 8 | 0.8 |\n| 5e-5 | 8 | 0.9 |"
    further = "\n## How to fine-tune it further\n\n```\nTrainingArguments(learning_rate=1e-3, num_train_epochs=9)\n```"
    usage = "\n## Usage\n\n```\n--learning_rate 1 --num_train_epochs 9\n```"
    row = read("\n".join([*LIST, "", search, further, usage]))
    assert [row[name] for name in ASKED] == [3e-5, 24, 4]


@pytest.mark.parametrize(
    "block",
    [
        "{'loss': 0.5, 'learning_rate': 1.8e-05, 'epoch': 1.0}",
        '{"epoch": 3.0, "train_batch_size": 8, "learning_rate": 1e-6}',
        "learning_rate = 1e-6",
        "loader = DataLoader(data, batch_size=8)\nmodel.generate(text, num_epochs=9, learning_rate=1)",
    ],
)
def test_logs_and_calls_in_code_state_no_settings(block):
    row = read("\n".join([*LIST, "", "## Training", "", f"```python\n{block}\n```"]))
    assert (row["reason"], row["learning_rate"], row["batch_size"], row["epochs_asked"]) == (None, 3e-5, 24, 4)


def test_columns_of_several_models_are_named_with_all_that_they_hold():
    row = read("| Setting of | small | large |\n|-|-|-|\n| learning_rate | 1e-5 | 5e-5 |\n| epochs | 3 | 3 |")
    assert "learning_rate reads 1e-5 | 5e-5, which could not be read" in row["reason"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0,5", 0.5), ("93,4 %", 0.934), ("2,5e-5", 2.5e-5), ("0,123", 0.123), ("12,5", 12.5),
        ("1,234", None), ("1,234,567", None), ("1,2,3", None), (",5", None),
    ],
)  # fmt: skip
def test_a_decimal_comma_is_read_unless_it_may_part_thousands(text, number):
    assert plain_number(text) == (None if number is None else pytest.approx(number))


@given(steps=st.integers(1_000, 999_999_999))
def test_a_whole_number_may_have_commas_between_its_thousands(steps):
    assert setting_number(SETTINGS["steps_asked"], f"{steps:,}") == steps


@settings(max_examples=100, deadline=None)
@given(
    rate=st.floats(1e-8, 1e-1),
    batch=st.integers(1, 4096),
    epochs=st.integers(1, 500),
    form=st.sampled_from(["- `{0}`: {1!r}", "| {0} | {1!r} |", "* **{0}** = {1!r}", "- {0}: {1!r} (as usual)"]),
)
def test_a_setting_is_the_same_in_every_form(rate, batch, epochs, form):
    row = read([form.format(*pair) for pair in (("learning_rate", rate), ("batch_size", batch), ("epochs", epochs))])
    assert [row[name] for name in ASKED] == [rate, batch, epochs]


def test_edits_of_a_real_card_never_stop_the_reader():
    """Seeded: pieces of markup, of code and of numbers put into, and cut out of, what the installed library writes."""
    draw = random.Random(20250601)
    card = TrainingSummary(
        "model", finetuned_from="roberta-base", tasks="text-classification", dataset="x", dataset_tags="x",
        eval_results={"Loss": 0.4, "Accuracy": 0.9},
        hyperparameters={"learning_rate": 3e-5, "train_batch_size": 24, "seed": 1, "num_epochs": 4.0},
    ).to_model_card()  # fmt: skip
    pieces = [
        "```", "\n```python\nTrainingArguments(", "TrainingArguments", "(", ")", "=", "--learning_rate ", "|", "\n|",
        "|\n", "\\_", "\\", "`", "**", "10^-5", "\u00d7 10^", "%", ",", "e", "\0",
        "\u2028", "\ufeff", "(((((", "'''", "#", ":",
        "\n---\n", "library_name: peft\n", "tags:\n- lora\n", "label_smoothing_factor: 0.1\n", "\ud800",
    ]  # fmt: skip
    for _ in range(400):
        text = card
        for _ in range(draw.randint(1, 12)):
            at, cut = draw.randrange(len(text)), draw.choice([0, 0, 3, 30])
            text = text[:at] + draw.choice(pieces) * draw.choice([1, 1, 50]) + text[at + cut :]
        row = read_card(Card("owner/model", text, "owner"))
        assert row["reason"] or all(row[name] > 0 for name in ASKED)
