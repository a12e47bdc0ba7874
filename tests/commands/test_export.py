"""The exported folder and its card, judged by transformers: the card's own code does what was evaluated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import encoders
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from test_bert import bert

import tiny
from finevar.columns import EXAMPLES, PREDICTIONS, STUDY_METRICS
from finevar.commands import export_card, exported
from finevar.commands.export import export_files
from finevar.data.encoding import encode, load_encoded, save_encoded
from finevar.data.pairs import texts_in
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_files
from finevar.files import check_sums, write_facts, write_json, write_sums
from finevar.metrics import RESPONSES
from finevar.models import checkpoint
from finevar.models.families import convert
from finevar.parquet import read_table, write_rows
from finevar.study.config import TRAINING_DEFAULTS
from finevar.study.seed_parts import COLUMNS
from finevar.tables import ADVICE, TABLES
from finevar.training.job import train_files
from finevar.words.seeds import seed_words

CLASSES = ["negative", "positive"]
LENGTH = 8  # at which some sentences are cut
SETTINGS = {"learning_rate": 3e-3, "batch_size": 8, "epochs": 2, "max_length": LENGTH, "train_examples": 40}
COUNT = 60
SEED = {"init": 1, "order": 2, "dropout": 3, "sample": 4}


def make_study(folder: Path, kind: str) -> dict:
    """Train and evaluate one run of a cased tokenizer; return the arguments of its export.

    kind: the type of numbers, `pairs` for a BERT that reads sentence pairs in float32, or that of another encoder.
    """
    pairs, dtype = kind == "pairs", kind if kind in ("float32", "bfloat16") else "float32"
    if pairs:
        bert(folder / "source")
    elif kind in encoders.ALL:
        encoders.make(kind, folder / "source")
    else:
        tiny.make_model(folder / "source")
        path = folder / "source" / "tokenizer.json"
        path.write_text(json.dumps(change_case(json.loads(path.read_text()))))
    (folder / "start").mkdir()
    convert(folder / "source", folder / "start", where="source tiny", pairs=pairs)
    write_sums(folder / "start")
    texts, labels = zip(*tiny.make_sentences(COUNT), strict=True)
    texts = [text.title() if number % 3 == 0 else text for number, text in enumerate(texts)]
    if pairs:
        texts = [f"{first}\n{second}" for first, second in zip(texts[1:] + texts[:1], texts, strict=True)]
    numbers = [CLASSES.index(label) for label in labels]
    save_encoded(encode(list(map(texts_in, texts)), numbers, folder / "start"), folder / "encoded.safetensors")
    rows = [{"example_id": f"{k}", "text": text, "label": numbers[k]} for k, text in enumerate(texts)]
    write_rows(rows, folder / "eval.parquet", EXAMPLES)
    facts = {"classes": CLASSES, "data_sha256": "d", "train": COUNT, "eval": COUNT}
    write_facts(facts, folder / "dataset.json")
    settings, run = TRAINING_DEFAULTS | SETTINGS | {"dtype": dtype}, folder / "runs" / "r"
    trained = train_files(
        start=str(folder / "start"), train=str(folder / "encoded.safetensors"), facts=str(folder / "dataset.json"),
        settings=settings, seed=SEED, threads=1, name="r", model=str(run / "model"), summary=str(run / "training.json"),
        training=str(run / "training.parquet"),
    )  # fmt: skip
    assert trained["status"] == "ok"
    row = evaluate_files(
        model=str(run / "model"), summary=str(run / "training.json"), examples=str(folder / "eval.parquet"),
        encoded=str(folder / "encoded.safetensors"), facts=str(folder / "dataset.json"), threads=1,
        record={"run_id": "r", "point_id": "p", "dataset": "toy", "seed": None, **settings},
        predictions=str(run / "predictions.parquet"), metrics=str(run / "metrics.parquet"),
    )  # fmt: skip
    row |= {"seed": 5} | {COLUMNS[part]: seed for part, seed in SEED.items()}
    write_rows([row], folder / "metrics.parquet", STUDY_METRICS)
    provenance = {
        "source": {"kind": "hub", "repo": "someone/tiny"},
        "licence": "Apache-2.0",
        "changes": ["dropped: pooler"],
    }
    (folder / "pretrained").mkdir()
    (folder / "fetched").mkdir()
    write_json(provenance, folder / "pretrained" / "source.json")
    (folder / "packaged").mkdir()
    (folder / "packaged" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: films\nLicense: MIT License\n")
    (folder / "fetched" / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Toys\n")
    advice = {name: [] for name in ADVICE}
    advice["ranking"] = [{"point_id": "p", "response": "accuracy", "mean": 0.5, "seeds": 1}]
    about = {"primary": "accuracy", "decided_by": "loss", "expected_regret": 0.5, "regret_bound": 0.5}
    advice["recommendation"] = [{"point_id": "p", "role": "recommended"} | about, {"point_id": "q", "role": "tied"}]
    for name, rows_of in advice.items():
        write_rows(rows_of, folder / f"{name}.parquet", TABLES[name].schema)
    return {
        "metrics": str(folder / "metrics.parquet"), "advice": [str(folder / f"{name}.parquet") for name in advice],
        "pretrained": [str(folder / "pretrained")], "start": [str(folder / "start")],
        "train": [str(folder / "encoded.safetensors")],
        "examples": str(folder / "eval.parquet"), "encoded": [str(folder / "encoded.safetensors")],
        "facts": str(folder / "dataset.json"), "fetched": [str(folder / "packaged"), str(folder / "fetched")],
        "baseline": {"dataset": "films", "seed": 3, "settings": {"learning_rate": 2e-4}},
        "head": None,
        "sources": {"films": {"kind": "package", "package": "films==1"}, "mine": {"kind": "local"},
                    "toy": {"kind": "hub", "repo": "someone/toys"}},
        "dataset": "toy", "factors": ["learning_rate"],
        "confidence": 0.95, "runs": str(folder / "runs"), "threads": 1, "model": str(folder / "exported"),
    }  # fmt: skip


def change_case(tokenizer: dict) -> dict:
    """Return a tokenizer that keeps case and knows half of the words with a capital, too."""
    words = tokenizer["model"]["vocab"]
    capital = {word.title(): number for word, number in words.items() if number in (5, 10, 15, 16, 17)}
    lower = {word: number for word, number in words.items() if word.title() not in capital}
    return tokenizer | {"normalizer": None, "model": tokenizer["model"] | {"vocab": lower | capital}}


def texts_of(study: dict) -> list[list[str]]:
    """Return each example's text or, of pairs, both."""
    return [text.split("\n") for text in read_table(study["examples"], EXAMPLES)["text"].to_pylist()]


def pipeline_inputs(study: dict) -> list[dict[str, str]]:
    return [dict(zip(("text", "text_pair"), texts, strict=False)) for texts in texts_of(study)]


@pytest.fixture(scope="module", params=["float32", "bfloat16", "pairs", "roberta", "mpnet"])
def study(request, tmp_path_factory) -> dict:
    return make_study(tmp_path_factory.mktemp(request.param), request.param)


def test_the_cards_own_code_does_what_was_evaluated(study, tmp_path):
    folder = tmp_path / "model"
    assert export_files(**study | {"model": str(folder)}) == 0
    card = (folder / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    names: dict = {}
    exec(code.replace("path/to/this/folder", str(folder)), names)
    saved = np.array(read_table(Path(study["runs"]) / "r" / "predictions.parquet", PREDICTIONS)["logits"].to_pylist())
    found = names["classify"](pipeline_inputs(study), top_k=None, function_to_apply="none")
    logits = np.array([[{one["label"]: one["score"] for one in row}[name] for name in CLASSES] for row in found])
    lengths = np.diff(load_encoded(study["encoded"][0]).offsets)
    assert (lengths > LENGTH).sum() > 5
    exact = "in float32, by" in card
    np.testing.assert_allclose(logits, saved, rtol=0, atol=1e-5 if exact else 0.1)
    same = int((logits.argmax(1) == saved.argmax(1)).sum())
    assert f"the evaluated class for {same} of {COUNT} evaluation sentences" in card
    stated = float(re.search(r"by (\S+) at most", card)[1])
    assert stated == pytest.approx(np.abs(logits - saved).max(), rel=0.1, abs=2e-7)
    assert same == COUNT or not exact
    assert check_sums(folder)  # of every file, the card too


def test_the_hub_reads_the_cards_metrics(study, tmp_path):
    export_files(**study | {"model": str(tmp_path / "model")})
    card = ModelCard.load(tmp_path / "model" / "README.md")
    (row,) = read_table(study["metrics"], STUDY_METRICS).to_pylist()
    stated = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert stated == {name: row[name] for name in RESPONSES if row[name] is not None}
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "text-classification")
    tables = [[cell.strip() for cell in line[1:-1].split("|")] for line in card.text.splitlines() if line[:1] == "|"]
    values = {cells[0]: cells[1:] for cells in tables}
    assert values["Accuracy"][0] == f"{row['accuracy']:.4f}"
    assert values["Binary F1"][0] == f"{row['f1']:.4f}"
    assert len(tables) == 2 + len(stated) + 2 + len(CLASSES)
    assert {len(line) for line in tables} == {5}
    assert "- learning rate: 0.003 (varied in the study)\n" in card.text
    assert "- epochs: 2\n" in card.text
    assert "{{" not in card.text
    assert "None" not in card.text


def test_the_model_that_plain_transformers_loads_gives_the_saved_predictions(study, tmp_path):
    """As everybody loads it, and not as the card says."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    export_files(**study | {"model": str(tmp_path / "model")})
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    columns = map(list, zip(*texts_of(study), strict=True))
    saved = np.array(read_table(Path(study["runs"]) / "r" / "predictions.parquet", PREDICTIONS)["logits"].to_pylist())
    batch = tokenizer(*columns, truncation=True, max_length=LENGTH, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits.numpy()
    (row,) = read_table(study["metrics"], STUDY_METRICS).to_pylist()
    np.testing.assert_allclose(logits, saved, rtol=0, atol=1e-5 if row["dtype_used"] == "float32" else 0.1)
    assert model.config.id2label == dict(enumerate(CLASSES))


def test_the_card_says_what_the_model_is_made_from(study, tmp_path):
    export_files(**study | {"model": str(tmp_path / "model")})
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert (card.data.license, card.data.base_model, card.data.datasets) == (
        "apache-2.0", "someone/tiny", ["someone/toys"],
    )  # fmt: skip
    assert "Pretrained: someone/tiny on the Hugging Face Hub, licence Apache-2.0" in card.text
    assert "Baseline: fine-tuned on films with seed 3 and learning rate 2e-4." in card.text
    assert f"This is its run at {seed_words(SEED)}, the first" in card.text
    assert "- toy: someone/toys on the Hugging Face Hub, licence cc-by-4.0." in card.text
    assert "- films: package films==1, licence MIT License." in card.text
    assert "- mine: local files, on its own terms." in card.text


def test_settings_of_a_run_beside_others_without_lora_are_whole_numbers_again(study):
    (row,) = read_table(study["metrics"], STUDY_METRICS).to_pylist()
    lora = {"method": "lora", "lora_rank": 4.0, "lora_scale": 2.0, "lora_layers": "all"}
    found = [export_card.Choice(row | own, [row], None, []).settings for own in (lora, lora | {"method": "full"})]
    assert [settings.get("lora_rank") for settings in found] == [4, None]
    assert isinstance(found[0]["lora_rank"], int)


def test_metrics_by_class_are_scikit_learns():
    """Three classes, one that no sentence has: by hand."""
    logits = np.eye(3)[[0, 0, 1, 1, 0]]
    rows = export_card.per_class(logits, np.array([0, 1, 1, 1, 0]), ["a", "b", "c"])
    assert [(row["precision"], row["recall"], row["sentences"]) for row in rows] == [
        (pytest.approx(2 / 3), 1.0, 2), (1.0, pytest.approx(2 / 3), 3), (0.0, 0.0, 0),
    ]  # fmt: skip


def test_the_interval_of_a_mean_is_students_t(study):
    """Of three values: mean 2, standard error 1 / sqrt(3), and t of 2 degrees of freedom at 97.5 %, 4.303."""
    (row,) = read_table(study["metrics"], STUDY_METRICS).to_pylist()
    runs = [row | {"loss": value, "baseline_loss": 5.0} for value in (1.0, 2.0, 3.0)]
    choice = export_card.Choice(runs[0], runs, None, ["learning_rate"])
    ((_, own, mean, ends, baseline),) = export_card.metric_rows(choice, {"loss": 1.0}, 0.95)
    assert (own, mean, baseline) == ("1.0000", "2.0000 \N{PLUS-MINUS SIGN} 1.0000", "5.0000")
    low, high = (float(end.replace("\N{MINUS SIGN}", "-")) for end in ends.split(" to "))
    assert (low, high) == (pytest.approx(2 - 2.484, abs=0.06), pytest.approx(2 + 2.484, abs=0.06))


@pytest.mark.parametrize(
    ("stated", "licence", "name"),
    [("MIT", "mit", None), ("My own licence", "other", "My own licence"), (None, None, None)],
)
def test_a_licence_that_the_hub_does_not_know_has_its_own_name(study, stated, licence, name):
    (row,) = read_table(study["metrics"], STUDY_METRICS).to_pylist()
    pretrained = {"source": {"kind": "package", "package": "tiny==1"}, "licence": stated, "changes": []}
    choice = export_card.Choice(row, [row], None, ["learning_rate"])
    data = export_card.card_data(choice, export_card.Origin(pretrained, {}, {}, []), {"accuracy": 0.5})
    assert (data.license, data.get("license_name"), data.base_model) == (licence, name, None)


def test_without_cutting_the_code_would_do_something_else(study):
    """What the card's max_length is for."""
    from transformers import pipeline

    folder = Path(study["runs"]) / "r" / "model"
    texts = read_table(study["examples"], EXAMPLES)["text"].to_pylist()
    whole = pipeline("text-classification", model=str(folder), device="cpu", top_k=None, function_to_apply="none")
    cut = exported.pipeline_logits(folder, texts, CLASSES, LENGTH)
    rows = [{one["label"]: one["score"] for one in row} for row in whole(pipeline_inputs(study))]
    uncut = np.array([[row[name] for name in CLASSES] for row in rows])
    assert np.abs(cut - uncut).max() > 1e-3


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    write_sums(path.parent)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (
            lambda folder: edit_json(folder / "tokenizer_config.json", tokenizer_class="DistilBertTokenizer"),
            r"read by transformers: found other token ids than were evaluated, of \d+ of 60 sentences",
        ),
        (
            lambda folder: edit_json(folder / "tokenizer.json", normalizer={"type": "Lowercase"}),
            r"read by transformers: found other token ids than were evaluated, of \d+ of 60 sentences",
        ),
        (
            lambda folder: edit_json(folder / "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}),
            r"found a head of 2 classes \(LABEL_0, LABEL_1\)",
        ),
        (
            lambda folder: (folder / "tokenizer_config.json").unlink() or write_sums(folder),
            r"read by transformers: found other token ids than were evaluated",
        ),
    ],
)
def test_a_folder_that_transformers_reads_otherwise_is_not_exported(tmp_path, spoil, found):
    """Whatever made it so: a class of the tokenizer, its pipeline, names of the classes."""
    study = make_study(tmp_path, "float32")
    spoil(Path(study["runs"]) / "r" / "model")
    with pytest.raises(InputError, match=found):
        export_files(**study)
    assert not (Path(study["model"]) / "README.md").exists()


def test_logits_that_differ_are_not_exported(study, tmp_path, monkeypatch):
    theirs = exported.pipeline_logits
    monkeypatch.setattr(exported, "pipeline_logits", lambda *arguments: theirs(*arguments) + 1e-3)
    with pytest.raises(InputError, match=r"found logits that differ by 1\.0e-03 from those evaluated, in float32"):
        export_files(**study | {"model": str(tmp_path / "model")})


def test_a_model_trained_once_more_is_checked_as_well(tmp_path):
    study = make_study(tmp_path, "float32")
    (Path(study["runs"]) / "r" / "model").rename(tmp_path / "elsewhere")
    assert export_files(**study) == 0
    ours, theirs = (checkpoint.load_model(path)[0] for path in (tmp_path / "elsewhere", Path(study["model"])))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
