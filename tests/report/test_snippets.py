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
    "weight_decay", "lr_scheduler_type", "max_grad_norm", "label_smoothing_factor", "adam_beta2",
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


def test_what_is_seldom_changed_is_said_where_it_is():
    usual = SETTINGS | {"label_smoothing": 0.0, "beta2": 0.999, "method": "full", "layer_decay": 1.0}
    assert arguments(usual) == arguments(SETTINGS)
    assert as_arguments(usual) == as_arguments(SETTINGS)
    changed = arguments(usual | {"label_smoothing": 0.1, "beta2": 0.98})
    assert (changed["label_smoothing_factor"], changed["adam_beta2"]) == (0.1, 0.98)
    assert "layer_decay 0.9" in as_arguments(usual | {"layer_decay": 0.9})


def test_lora_is_given_as_pefts_configuration():
    lora = {"method": "lora", "lora_rank": 8.0, "lora_scale": 2.0, "lora_layers": "all"}
    (line,) = (line for line in as_arguments(SETTINGS | lora).splitlines() if "LoraConfig" in line)
    (call,) = (node for node in ast.walk(ast.parse(line.partition("Trainer ")[2])) if isinstance(node, ast.Call)
               and node.func.id == "LoraConfig")  # fmt: skip
    found = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert found == {"task_type": "SEQ_CLS", "r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
