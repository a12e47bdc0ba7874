"""Model cards from a folder, from a CSV of facts, and from the Hub: its cache and a server that the test lays out."""

from __future__ import annotations

import http.server
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from finevar import ROOT
from finevar.columns import CARDS, MODEL_CARDS, STATED
from finevar.errors import InputError
from finevar.found.sources import read_cards, read_folder, read_stated
from finevar.parquet import read_table

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = """# model
This model is a fine-tuned version of [distilbert-base-uncased](https://huggingface.co/x) on the imdb dataset.
It achieves the following results on the evaluation set:
- Loss: 0.25
- Accuracy: 0.91

### Training hyperparameters
- learning_rate: 2e-05
- train_batch_size: 16
- num_epochs: 3.0
"""


def put(folder: Path, name: str, text: str = CARD) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# A folder -------------------------------------------------------------------------------------------------------------


def test_cards_of_a_folder_are_named_after_where_they_lie(tmp_path):
    for name in ("ann/first/README.md", "bob/second/README.md", "third.md", "notes.txt"):
        put(tmp_path, name)
    rows = read_folder(tmp_path)
    assert [(row["card_id"], row["owner"]) for row in rows] == [
        ("ann/first", "ann"),
        ("bob/second", "bob"),
        ("third", None),
    ]
    assert {row["learning_rate"] for row in rows} == {2e-5}
    assert len({row["card_sha256"] for row in rows}) == 1


def test_a_folder_without_cards_is_told(tmp_path):
    with pytest.raises(InputError, match="found no model card"):
        read_folder(tmp_path)


def test_a_file_that_is_no_text_is_a_card_that_cannot_be_used(tmp_path):
    (tmp_path / "odd.md").write_bytes(bytes(range(256)) * 100)
    (row,) = read_folder(tmp_path)
    assert "without metrics" in row["reason"]


def test_each_card_that_cannot_be_used_has_its_line_in_the_log(tmp_path, caplog):
    put(tmp_path / "cards", "ann/first/README.md")
    put(tmp_path / "cards", "bob/empty/README.md", "")
    with caplog.at_level(logging.INFO, logger="finevar"):
        read_cards({"folder": str(tmp_path / "cards")}, "", tmp_path / "out.parquet")
    assert "bob/empty: the card is empty" in caplog.messages
    assert "2 model cards read, 1 usable." in caplog.messages
    assert read_table(tmp_path / "out.parquet", MODEL_CARDS)["card_id"].to_pylist() == ["ann/first", "bob/empty"]


# A CSV of facts -------------------------------------------------------------------------------------------------------


def facts(tmp_path: Path, *lines: str) -> Path:
    (tmp_path / "facts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "facts.csv"


HEAD = "card_id,owner,learning_rate,train_batch_size,gradient_accumulation_steps,epochs_asked,loss,accuracy,last_loss"


def test_facts_are_rows_as_cards_are(tmp_path):
    path = facts(tmp_path, HEAD, "a/x,a,2e-5,16,2,3,0.25,0.91,0.25", "b/y,b,2e-5,16,,,0.3,,0.4", "c/z,,,,,,,,")
    first, second, third = read_stated(path)
    assert (first["batch_size"], first["headline"], first["reason"], first["kind"]) == (32, "last", None, "other")
    assert (second["headline"], second["reason"]) == ("no row", "it does not state epochs_asked")
    assert third["reason"].startswith("a card of kind other without metrics")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["card_id,loss,colour", "a,1,red"], "unknown columns colour"),
        (["card_id,accuracy", "a,1"], "no column loss"),
        (["card_id,loss"], "0 rows"),
        (["card_id,loss", ",1"], "line 2: found no card_id"),
        (["card_id,loss", "a,1", "a,2"], "line 3: found a as on line 2"),
        (["card_id,loss", "a,high"], "CSV conversion error"),
        (["card_id,loss,accuracy", "a,1,91"], "line 2: accuracy: found 91. Allowed: a number from 0 to 1"),
        (["card_id,loss,learning_rate", "a,1,-1e-5"], "line 2: learning_rate: found -1e-05"),
        (["card_id,loss,train_batch_size", "a,1,0"], "line 2: train_batch_size: found 0. Allowed: a whole number"),
        (["card_id,loss,loss", "a,1,2"], "a column twice"),
        (["card_id,loss", "a,nan"], "line 2: loss: found nan"),
        (["card_id;loss", "a;0,3"], "points in numbers"),
        (["sep=,", "card_id,loss", "a,0.3"], "without a line above"),
    ],
)
def test_facts_that_cannot_be_are_told(tmp_path, lines, told):
    with pytest.raises(InputError) as caught:
        read_stated(facts(tmp_path, *lines))
    assert told in str(caught.value)


def test_the_manual_names_every_column_of_the_facts():
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert [name for name in STATED if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", ["distilbert_sst2", "distilbert_base"])
def test_shipped_facts_have_their_sources(name):
    rows = read_stated(ROOT / "config" / "cards" / f"{name}.csv")
    assert all(row["source"].startswith("https://huggingface.co/") for row in rows)
    assert len(rows) == {"distilbert_sst2": 130, "distilbert_base": 477}[name]


# The Hub: its client reads the environment when it is imported, so each test is a process -----------------------------


def fetch(models: list[str], output: Path, **environment: str) -> str:
    """Fetch cards in a new process and return its InputError's message, empty if it goes well."""
    code = """
        import json, pathlib, sys
        from finevar import errors
        from finevar.found import sources as found_sources
        try:
            found_sources.fetch_cards(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))
        except errors.InputError as error:
            print(error)
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), json.dumps(models), str(output)],
        env=kept | {"PYTHONPATH": str(ROOT / "scripts"), "NO_PROXY": "127.0.0.1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def fill_cache(home: Path, repo: str) -> None:
    """Lay out a model's card as the Hub's client caches it."""
    folder = home / "hub" / f"models--{repo.replace('/', '--')}"
    put(folder, f"snapshots/{COMMIT}/README.md")
    put(folder, "refs/main", COMMIT)


def test_cards_from_a_filled_cache_need_no_network_and_record_the_commit(tmp_path):
    fill_cache(tmp_path, "ann/first")
    output = tmp_path / "cards"
    models = ["ann/first", f"ann/first@{COMMIT}"]
    assert not fetch(models[:1], output, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    (row,) = read_folder(output)
    assert (row["card_id"], row["owner"], row["revision"]) == ("ann/first", "ann", COMMIT)
    assert row["source"] == "https://huggingface.co/ann/first"
    assert not fetch(models[1:], tmp_path / "pinned", HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert read_folder(tmp_path / "pinned")[0]["revision"] == COMMIT


def test_without_network_and_cache_nothing_is_left_out_in_silence(tmp_path):
    fill_cache(tmp_path, "ann/first")
    message = fetch(["ann/first", "bob/second"], tmp_path / "cards", HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert "model card of bob/second: found no answer from the Hugging Face Hub, and no copy in its cache" in message
    assert not (tmp_path / "cards").exists()


@pytest.fixture
def server():
    """Start a server that has one model's card, refuses another and knows no third; return its address."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path.startswith("/ann/first/resolve/main/")
            self.send_response(200 if known else 404)
            self.send_header("X-Error-Code", "" if known else "GatedRepo" if "gated" in self.path else "RepoNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", '"abc"')
            self.send_header("Content-Length", str(len(CARD)) if known else "0")
            self.end_headers()
            if known and self.command == "GET":
                self.wfile.write(CARD.encode())

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


def test_a_model_without_a_card_has_its_reason_and_the_others_are_fetched(tmp_path, server):
    models = ["ann/first", "eve/gone", "eve/gated", "no..name"]
    assert not fetch(models, tmp_path / "cards", HF_HOME=str(tmp_path / "home"), HF_ENDPOINT=server)
    rows = {row["card_id"]: row for row in read_folder(tmp_path / "cards")}
    assert (rows["ann/first"]["revision"], rows["ann/first"]["loss"]) == (COMMIT, 0.25)
    assert rows["eve/gone"]["reason"] == "the Hub has no such model, or it is private"
    assert rows["eve/gated"]["reason"] == "the model is gated"
    assert rows["no..name"]["reason"] == "that cannot be a model's name"


def test_every_stated_fact_is_a_column_of_the_cards_and_none_twice():
    assert len(set(MODEL_CARDS.names)) == len(MODEL_CARDS.names)
    assert set(STATED) < set(MODEL_CARDS.names) < set(CARDS.names)
