"""A BERT trained on sentence pairs, against Hugging Face's Trainer on BertForSequenceClassification."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_bert import bert, converted
from test_training import SETTINGS, OrderedTrainer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, TrainingArguments

import tiny
from finevar.data.encoding import encode
from finevar.training import loop
from finevar.training.loop import Plan, train_model
from finevar.training.schedule import epoch_batches

COUNT, LENGTH = 44, 12
SENTENCES = tiny.make_sentences(2 * COUNT)
PAIRS = [(SENTENCES[k][0], SENTENCES[COUNT + k][0]) for k in range(COUNT)]
LABELS = [tiny.CLASSES.index(SENTENCES[COUNT + k][1]) for k in range(COUNT)]


@pytest.fixture
def start(tmp_path):
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return converted(bert(tmp_path / "bert", id2label=dict(enumerate(tiny.CLASSES)), **rates))


@pytest.mark.parametrize("pads", [False, True])
def test_losses_and_weights_follow_hugging_face_trainer(start, tmp_path, monkeypatch, pads):
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    settings = SETTINGS | {"max_length": LENGTH, "weight_decay": 0.1}
    ours = train_model(Plan(start, encode(PAIRS, LABELS, start), tiny.CLASSES, settings, 5, 1, name="pairs"))
    tokenizer = AutoTokenizer.from_pretrained(start)
    rows = [
        dict(tokenizer(*pair, truncation=True, max_length=LENGTH), labels=label)
        for pair, label in zip(PAIRS, LABELS, strict=True)
    ]
    assert sum(len(row["input_ids"]) == LENGTH for row in rows) > 5
    model = AutoModelForSequenceClassification.from_pretrained(start)
    orders = [[n for batch in epoch_batches(COUNT, 8, 5, epoch) for n in batch] for epoch in range(2)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "trainer"), use_cpu=True, learning_rate=3e-3, num_train_epochs=2,
        per_device_train_batch_size=8, weight_decay=0.1, max_grad_norm=SETTINGS["clip_norm"], report_to=[],
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    theirs = OrderedTrainer(
        model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer), orders=orders
    )
    theirs.train()
    assert len(theirs.losses) == len(ours.steps) == 12
    np.testing.assert_allclose([row["loss"] for row in ours.steps], theirs.losses, atol=1e-5)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(ours.weights[name].detach(), tensor, atol=1e-4, rtol=0)  # steps are 3e-3 long
