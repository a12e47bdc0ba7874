"""The forward on flat tokens against Hugging Face's DistilBERT: logits and gradients."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from finevar.models.distilbert.conversion import convert_model
from finevar.models.distilbert.encoder import Architecture, classify, multiplied
from finevar.models.flat.dropout import dropout
from finevar.models.flat.packing import collate

SIZES = {
    "one layer": {"n_layers": 1, "dim": 32, "n_heads": 4, "hidden_dim": 48, "num_labels": 2},
    "six layers, relu": {
        "n_layers": 6,
        "dim": 64,
        "n_heads": 8,
        "hidden_dim": 128,
        "num_labels": 2,
        "activation": "relu",
    },
    "three classes, one head": {"n_layers": 2, "dim": 24, "n_heads": 1, "hidden_dim": 24, "num_labels": 3},
}
LENGTHS = {
    "ragged": [5, 1, 17, 9],
    "equal": [6, 6, 6],
    "single": [11],
    "several blocks": [3, 20, 7, 7, 1, 12, 5, 18, 9, 2, 16, 4, 4, 11, 19, 6, 8, 10, 13, 1],
}


def save_model(folder, sizes):
    """Save a DistilBERT with weights far from zero, and return it in evaluation mode."""
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=50, max_position_embeddings=20, pad_token_id=0, **sizes)
    model = DistilBertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (0.05 if "embeddings.weight" in name else 0.1))
    folder.mkdir()
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) + "\n")
    return model


def load_converted(folder, output):
    output.mkdir()
    convert_model(folder, output, where="source tiny")
    weights = {name: tensor.requires_grad_() for name, tensor in load_file(output / "model.safetensors").items()}
    return weights, Architecture.from_config(DistilBertConfig.from_pretrained(output).to_dict())


def logits_of(weights, architecture, sentences, generator=None):
    batch = collate(sentences, heads=architecture.heads)
    return classify(multiplied(weights, torch.float32), architecture, batch, generator)


def sentences_of(lengths):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(1, 50, (length,), generator=generator) for length in lengths]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_logits_and_gradients_are_those_of_hugging_face(tmp_path, sizes, lengths):
    model = save_model(tmp_path / "model", sizes)
    weights, architecture = load_converted(tmp_path / "model", tmp_path / "converted")
    sentences = sentences_of(lengths)
    labels = torch.arange(len(lengths)) % sizes["num_labels"]

    padded = torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(sentence) for sentence in sentences], batch_first=True)
    expected = model(input_ids=padded, attention_mask=mask, labels=labels)
    expected.loss.backward()
    logits = logits_of(weights, architecture, sentences)
    torch.nn.functional.cross_entropy(logits, labels).backward()

    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-5)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert set(gradients) == set(weights)
    assert max(gradient.abs().max() for gradient in gradients.values()) > 1e-3
    for name, weight in weights.items():
        torch.testing.assert_close(
            weight.grad, gradients[name], rtol=1e-5, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_a_sentence_does_not_see_its_batch(tmp_path):
    save_model(tmp_path / "model", SIZES["one layer"])
    weights, architecture = load_converted(tmp_path / "model", tmp_path / "converted")
    sentences = sentences_of([5, 1, 17, 9])
    together = logits_of(weights, architecture, sentences)
    alone = [logits_of(weights, architecture, [sentence]) for sentence in sentences]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-6)


def test_dropout_follows_its_generator(tmp_path):
    save_model(tmp_path / "model", SIZES["one layer"])
    weights, architecture = load_converted(tmp_path / "model", tmp_path / "converted")

    def logits(seed):
        return logits_of(weights, architecture, sentences_of([5, 9]), torch.Generator().manual_seed(seed))

    torch.testing.assert_close(logits(1), logits(1), rtol=0, atol=0)
    assert not torch.allclose(logits(1), logits(2))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate):
    x = torch.ones(1_000_003)  # no multiple of the four elements that one draw serves
    dropped = dropout(x, rate, torch.Generator().manual_seed(0))
    error = 5 * (rate * (1 - rate) / len(x)) ** 0.5  # five standard errors of a binomial share
    assert abs(float((dropped == 0).double().mean()) - rate) < error + 2**-17
    torch.testing.assert_close(dropped[dropped > 0].unique(), torch.tensor([1 / (1 - rate)]), rtol=1e-4, atol=0)


def test_dropout_is_the_identity_without_rate_or_generator():
    x = torch.randn(5)
    assert dropout(x, 0.3, None) is x
    assert dropout(x, 0.0, torch.Generator()) is x
