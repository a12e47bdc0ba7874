"""The recommended setting on the clipboard: YAML that the config takes, and arguments that transformers knows."""

import ast

import yaml

from finevar.report.snippets import as_arguments, as_yaml

SETTINGS = {
    "learning_rate": 7e-5, "batch_size": 16.0, "epochs": 2.0, "warmup": 0.1, "weight_decay": 0.01, "dropout": 0.1,
    "max_length": 128, "train_examples": None, "schedule": "cosine", "clip_norm": 1.0,
}  # fmt: skip
# Fields of transformers.TrainingArguments, by its documentation.
KNOWN = {
    "output_dir", "learning_rate", "per_device_train_batch_size", "num_train_epochs", "warmup_ratio", "warmup_steps",
    "weight_decay", "lr_scheduler_type", "max_grad_norm",
}  # fmt: skip


def arguments(settings):
    (call,) = ast.parse(as_arguments(settings)).body
    return {word.arg: ast.literal_eval(word.value) for word in call.value.keywords}


def test_yaml_is_read_as_the_same_settings():
    assert yaml.safe_load(as_yaml(SETTINGS)) == {"training": SETTINGS}


def test_arguments_are_those_that_transformers_knows():
    found = arguments(SETTINGS)
    assert set(found) <= KNOWN
    assert found["learning_rate"] == 7e-5
    assert (found["per_device_train_batch_size"], found["num_train_epochs"]) == (16, 2)
    assert found["lr_scheduler_type"] == "cosine"


def test_a_warm_up_in_steps_and_a_constant_rate_have_the_names_that_transformers_gives_them():
    found = arguments(SETTINGS | {"warmup": 600, "schedule": "constant"})
    assert (found["warmup_steps"], found["lr_scheduler_type"]) == (600, "constant_with_warmup")
    assert "warmup_ratio" not in found
