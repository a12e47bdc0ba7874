"""The padding token's row, and sentences that fill a model's positions: as Hugging Face's DistilBERT trains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from finevar.data.encoding import Encoded
from finevar.files import write_sums
from finevar.models.distilbert.encoder import WORDS
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.vocabulary import compact
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training import loop
from finevar.training.loop import Plan, Trained, train_model
from finevar.training.padded import padded_length
from finevar.training.schedule import epoch_batches

CLASSES = ["negative", "positive"]
SETTINGS = TRAINING_DEFAULTS | {"dtype": "float32", "dropout": 0.0, "learning_rate": 5e-3, "schedule": "constant"}
SENTENCES = [[2, 5, 0, 6, 3], [2, 0, 7, 3], [2, 8, 9, 0, 3], [2, 6, 7, 7, 3]] * 3  # 0 is the usual padding token


def make_model(folder: Path, *, positions: int = 32, padding: int | None = 0) -> Path:
    torch.manual_seed(3)
    sizes = {"vocab_size": 30, "dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2}
    rates = dict.fromkeys(("dropout", "attention_dropout", "seq_classif_dropout"), 0.0)
    named = {"id2label": dict(enumerate(CLASSES))}
    config = DistilBertConfig(**sizes, **rates, **named, max_position_embeddings=positions, pad_token_id=padding)
    model = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():  # the row of the padding token, too, which starts as zeros
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stated | {"pad_token_id": padding}))
    write_sums(folder)
    return folder


def flat(sentences: list[list[int]]) -> Encoded:
    offsets = np.cumsum([0, *map(len, sentences)]).astype(np.int64)
    return Encoded(np.concatenate(sentences).astype(np.int32), offsets, np.arange(len(sentences)) % 2)


def theirs(start: Path, sentences: list[list[int]], settings: dict) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train with transformers and torch alone; return losses and weights."""
    model = DistilBertForSequenceClassification.from_pretrained(start).train()
    matrices = [weight for weight in model.parameters() if weight.ndim >= 2]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    labels, losses = torch.arange(len(sentences)) % 2, []
    for epoch in range(settings["epochs"]):
        for numbers in epoch_batches(len(sentences), settings["batch_size"], 0, epoch):
            rows = [torch.tensor(sentences[number]) for number in numbers]
            tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
            loss = model(input_ids=tokens, attention_mask=mask, labels=labels[list(numbers)]).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
            optimiser.step()
            losses.append(loss.item())
    return losses, model.state_dict()


def ours(start: Path, sentences: list[list[int]], settings: dict, monkeypatch, *, pads: bool) -> Trained:
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    return train_model(Plan(start, flat(sentences), CLASSES, settings, seed=0, threads=1, name="test"))


@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("padding", [0, 7, 3, 29, None])
def test_the_row_of_the_padding_token_learns_as_in_transformers(tmp_path, monkeypatch, padding, pads):
    """It only decays, be it in sentences as itself, a real word, every sentence's last token or in none."""
    settings = SETTINGS | {"batch_size": 4, "epochs": 10, "max_length": 32, "weight_decay": 0.1}
    start = make_model(tmp_path / "start", padding=padding)
    losses, weights = theirs(start, SENTENCES, settings)
    trained = ours(start, SENTENCES, settings, monkeypatch, pads=pads)
    assert len(losses) == 30
    np.testing.assert_allclose([row["loss"] for row in trained.steps], losses, rtol=0, atol=1e-5)
    torch.testing.assert_close(trained.weights[WORDS], weights[WORDS], rtol=0, atol=1e-4)
    if padding is not None:
        before = DistilBertForSequenceClassification.from_pretrained(start).state_dict()[WORDS][padding]
        torch.testing.assert_close(trained.weights[WORDS][padding], before * (1 - 5e-3 * 0.1) ** 30)


@pytest.mark.parametrize(("stated", "padding"), [({}, 0), ({"pad_token_id": None}, None), ({"pad_token_id": 7}, 7)])
def test_the_padding_token_is_that_of_the_config_or_of_transformers(tmp_path, stated, padding):
    config = json.loads((make_model(tmp_path / "start") / "config.json").read_text())
    del config["pad_token_id"]
    assert FlatDistilBert.from_config(config | stated).padding == padding
    assert DistilBertConfig.from_dict(config | stated).pad_token_id == padding


@pytest.mark.parametrize(("padding", "row"), [(0, 0), (7, 4), (4, None), (29, None), (None, None)])
def test_the_padding_row_is_found_among_the_words_that_occur(padding, row):
    weights = {WORDS: torch.arange(60.0).view(30, 2)}
    whole = FlatDistilBert(30, 32, 2, 2, 1, 1, "gelu", 0.1, 0.1, 0.1, padding)
    fewer, family, _, rows = compact(weights, whole, flat([[2, 5, 0, 6, 3], [2, 7, 3]]))
    assert rows.tolist() == [0, 2, 3, 5, 6, 7]
    expected = rows.tolist().index(padding) if padding in rows.tolist() else None
    assert family.padding == expected
    assert row is None or fewer[WORDS][expected, 0] == 2 * padding


# Positions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", [1, 15, 16, 17, 40, 100, 500, 512])
def test_a_padded_length_is_within_the_positions(positions):
    for size in range(1, positions + 1):
        assert size <= padded_length(size, positions) <= positions
        assert padded_length(size, positions) % 16 == 0 or padded_length(size, positions) == positions


@pytest.mark.parametrize("positions", [17, 40, 100, 500])
def test_sentences_that_fill_all_positions_train_padded(tmp_path, monkeypatch, positions):
    """Of which one is cut, and one is so near the end that a round length would lie beyond it."""
    draw = np.random.default_rng(positions)
    lengths = [positions, positions + 9, positions - 1, 5, positions // 2, 16]
    sentences = [[2, *draw.integers(4, 30, length - 2).tolist(), 3] for length in lengths]
    settings = SETTINGS | {"batch_size": 3, "epochs": 2, "max_length": positions}
    start = make_model(tmp_path / "start", positions=positions)
    padded, laid = (ours(start, sentences, settings, monkeypatch, pads=pads) for pads in (True, False))
    assert padded.summary["status"] == "ok"
    sizes = [[row["loss"] for row in trained.steps] for trained in (padded, laid)]
    np.testing.assert_allclose(*sizes, rtol=0, atol=1e-4)
    cut = [sentence if len(sentence) <= positions else [*sentence[: positions - 1], 3] for sentence in sentences]
    np.testing.assert_allclose(sizes[0], theirs(start, cut, settings)[0], rtol=0, atol=1e-4)
