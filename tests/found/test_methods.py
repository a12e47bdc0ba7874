"""Models trained by another method: known by their cards, counted by a gate, and never compared as settings."""

from __future__ import annotations

import pytest
from test_gates import as_cards, gate, question, sound

from finevar.found.cards import Card, read_card
from finevar.found.gates import judge_cards
from finevar.found.methods import METHODS
from finevar.reasons import Aside

BODY = """
# tickets

This model is a fine-tuned version of [roberta-base](https://huggingface.co/roberta-base) on the tickets dataset.
{}
It achieves the following results on the evaluation set:
- Loss: 0.4
- Accuracy: 0.87

### Training hyperparameters

- learning_rate: 3e-5
- train_batch_size: 24
- num_epochs: 4
{}
"""


def read(head: str = "", sentence: str = "", line: str = "") -> dict:
    """Read a card with something in its metadata, its description or its list of hyperparameters."""
    return read_card(Card("owner/model", f"---\nlicense: mit\n{head}\n---\n{BODY.format(sentence, line)}", "owner"))


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("adapter", {"head": "library_name: peft"}),
        ("adapter", {"head": "library_name: adapter-transformers"}),
        ("adapter", {"head": "tags:\n- generated_from_trainer\n- LoRA"}),
        ("adapter", {"head": "base_model_relation: adapter"}),
        ("adapter", {"line": "- lora_alpha: 16"}),
        ("adapter", {"sentence": "It was trained with QLoRA on one card."}),
        ("adapter", {"line": "\n### Framework versions\n\n- PEFT 0.7.1\n- Transformers 4.38.2"}),
        ("adapter", {"line": "\n### LoRA configuration\n\n- r: 8"}),
        ("adapter", {"line": "\n```python\nmodel = get_peft_model(model, LoraConfig(r=8))\n```"}),
        ("adapter", {"sentence": "A merged LoRA model."}),
        ("adapter", {"sentence": "We use low-rank adaptation."}),
        ("setfit", {"head": "library_name: setfit"}),
        ("setfit", {"head": "tags:\n- setfit\n- sentence-transformers"}),
        ("setfit", {"sentence": "This is a SetFit model."}),
        ("quantised", {"head": "tags: [gptq]"}),
        ("quantised", {"head": "base_model_relation: quantized"}),
        ("quantised", {"sentence": "An INT8 quantized version of it."}),
        ("distilled", {"head": "tags: [knowledge-distillation]"}),
        ("distilled", {"sentence": "Its teacher model is roberta-large."}),
        ("distilled", {"line": "- teacher: roberta-large"}),
        ("quantised", {"sentence": "Quantized with NNCF."}),
        ("loss", {"head": "tags: [trl, reward-trainer]"}),
        ("loss", {"sentence": "It is a reward model."}),
        ("loss", {"line": "- label_smoothing_factor: 0.1"}),
        ("loss", {"line": "- loss_function: FocalLoss"}),
        ("loss", {"sentence": "Trained using a class-weighted loss."}),
        ("head", {"sentence": "Trained with a BiLSTM head on top."}),
        ("head", {"sentence": "The encoder was frozen, and only the rest trained."}),
        ("head", {"sentence": "The labels come from a linear probe."}),
    ],
)
def test_a_method_is_known_by_what_a_card_says(method, where):
    row = read(**where)
    assert row["method"] == method
    assert row["reason"] is None
    assert "trained by another method: " in row["notes"]


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"head": "library_name: transformers\ntags: [generated_from_trainer]"},
        {"sentence": "DistilBERT is a smaller model, trained with knowledge distillation."},
        {"sentence": "All weights were trained, without LoRA or adapters."},
        {"line": "- label_smoothing_factor: 0.0"},
        {"line": "- loss_function: CrossEntropyLoss"},
        {"line": "- loss_function: categorical_crossentropy"},
    ],
)
def test_full_fine_tuning_has_no_sign_of_another_method(where):
    assert read(**where)["method"] is None


def test_they_are_excluded_with_their_number_and_can_be_asked_for():
    cards = sound()
    cards.loc[:9, "method"] = "adapter"
    cards.loc[10, "method"] = "setfit"
    judged, gates, stop = judge_cards(cards, question())
    found = gate(gates, "methods of training")
    assert (found["verdict"], found["flagged"], found["cards"], stop) == ("excluded", 11, 48, None)
    assert judged["set_aside_code"].value_counts().to_dict() == {Aside.METHOD: 11}
    judged, gates, _ = judge_cards(cards, question(method="adapter", cards_per_dataset=2))
    assert gate(gates, "methods of training")["flagged"] == 38
    assert judged["set_aside_code"].isna().sum() == 10


def test_a_card_that_says_nothing_passes():
    assert gate(judge_cards(sound(), question())[1], "methods of training")["verdict"] == "passed"


def test_the_schema_offers_every_method():
    from finevar.found.methods import FULL
    from finevar.study.schemas import read_schema

    allowed = read_schema("found")["properties"]["cards"]["properties"]["method"]["enum"]
    assert allowed == [FULL, *METHODS]


def test_rows_of_cards_without_the_column_are_of_the_usual_method():
    assert as_cards([{"card_id": "a"}])["method"].isna().all()
