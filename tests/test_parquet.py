"""Parquet and JSON files: whole or not there, and refused by name where they are not what they should be."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finevar.columns import EXAMPLES, METRICS, PREDICTIONS, STUDY_METRICS, TRAINING
from finevar.errors import InputError
from finevar.files import write_bytes
from finevar.metrics import RESPONSES
from finevar.parquet import read_table, write_rows, write_table
from finevar.study.seed_parts import COLUMNS

ROWS = [{"example_id": f"{number:016x}", "text": f"té{number}" * 40, "label": number % 2} for number in range(300)]


def refusal(path: Path, columns: pa.Schema = EXAMPLES) -> str:
    with pytest.raises(InputError) as caught:
        read_table(path, columns)
    return str(caught.value)


def test_rows_come_back(tmp_path):
    write_rows(ROWS, tmp_path / "a.parquet", EXAMPLES)
    table = read_table(tmp_path / "a.parquet", EXAMPLES)
    assert table.to_pylist() == ROWS
    assert table.schema == EXAMPLES


def test_lists_nulls_and_no_rows_come_back(tmp_path):
    rows = [{"example_id": "a", "label": 1, "logits": [0.5, -2.0], "loss": None}]
    write_rows(rows, tmp_path / "a.parquet", PREDICTIONS)
    assert read_table(tmp_path / "a.parquet", PREDICTIONS).to_pylist() == rows
    write_rows([], tmp_path / "a.parquet", TRAINING)
    assert read_table(tmp_path / "a.parquet", TRAINING).num_rows == 0


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path):
    folder = tmp_path / "label=7"
    folder.mkdir()
    write_rows(ROWS[:2], folder / "a.parquet", EXAMPLES)
    assert read_table(folder / "a.parquet", EXAMPLES).to_pylist() == ROWS[:2]


def test_the_same_rows_make_the_same_file(tmp_path):
    for name in ("a", "b"):
        write_rows(ROWS, tmp_path / name, EXAMPLES)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_write_that_fails_leaves_no_file_under_its_name(tmp_path, monkeypatch):
    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_rows(ROWS, tmp_path / "a.parquet", EXAMPLES)
    assert not (tmp_path / "a.parquet").exists()


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    write_rows(ROWS, tmp_path / "a.parquet", EXAMPLES)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        write_rows(ROWS[:1], tmp_path / "a.parquet", EXAMPLES)
    assert read_table(tmp_path / "a.parquet", EXAMPLES).num_rows == 300


def test_rows_of_another_type_write_nothing(tmp_path):
    with pytest.raises(pa.ArrowInvalid):
        write_rows([{"example_id": "a", "text": "b", "label": "one"}], tmp_path / "a.parquet", EXAMPLES)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_write_leaves_nothing_beside(tmp_path):
    write_bytes(b"one", tmp_path / "a")
    write_bytes(b"two", tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"two"


@pytest.mark.parametrize("kept", [0, 3, 50, 0.5, 0.99])
def test_a_truncated_file_is_named_with_its_remedy(tmp_path, kept):
    path = tmp_path / "metrics.parquet"
    write_rows(ROWS, path, EXAMPLES)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    message = refusal(path)
    assert message.startswith(f"{path}: found a file that is damaged")
    assert "It is now metrics.parquet.damaged; start Snakemake again" in message
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.parquet.damaged"]


@pytest.mark.parametrize("place", [0, 9, 200, -70, -5])
def test_a_single_other_bit_is_noticed(tmp_path, place):
    path = tmp_path / "a.parquet"
    write_rows(ROWS, path, EXAMPLES)
    spoilt = bytearray(path.read_bytes())
    spoilt[place] ^= 4
    path.write_bytes(spoilt)
    assert refusal(path).startswith(f"{path}: found a file that is damaged")


def test_a_text_that_looks_like_a_seal_does_no_harm(tmp_path):
    rows = [{**row, "text": f"sealed-sha256={'0' * 64}"} for row in ROWS[:3]]
    write_rows(rows, tmp_path / "a.parquet", EXAMPLES)
    assert read_table(tmp_path / "a.parquet", EXAMPLES).to_pylist() == rows


def test_a_sealed_file_is_read_by_others(tmp_path):
    write_rows(ROWS, tmp_path / "a.parquet", EXAMPLES)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == ROWS


def test_a_file_that_is_not_there_or_no_parquet_is_named(tmp_path):
    assert str(tmp_path / "no.parquet") in refusal(tmp_path / "no.parquet")
    (tmp_path / "a.parquet").write_text("text,label\n")
    assert "found a file that is damaged" in refusal(tmp_path / "a.parquet")


def test_other_columns_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    write_rows(ROWS, path, EXAMPLES)
    message = refusal(path, TRAINING)
    assert "found other columns or types than this version writes: epoch, example_id, grad_norm, label" in message
    assert "It is now a.parquet.damaged; start Snakemake again" in message


def test_another_type_or_order_of_columns_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    for other in (
        {"example_id": ["a"], "text": ["b"], "label": [1.0]},
        {"text": ["b"], "example_id": ["a"], "label": [1]},
    ):
        write_table(pa.table(other), path)
        assert "found other columns or types than this version writes. Allowed: example_id, text, label" in refusal(
            path
        )


def test_what_pandas_writes_into_metadata_does_not_matter(tmp_path):
    table = pa.Table.from_pylist(ROWS, schema=EXAMPLES).to_pandas()
    write_table(pa.Table.from_pandas(table, schema=EXAMPLES, preserve_index=False), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", EXAMPLES).num_rows == 300


def test_the_study_table_holds_the_run_table_and_the_baseline_beside():
    assert STUDY_METRICS.names[: len(METRICS.names)] == METRICS.names
    beside = [f"baseline_{name}" for name in (*RESPONSES, "chance", "head")]
    beside += ["is_baseline_point", "trajectory_id", "ending"]
    assert STUDY_METRICS.names[len(METRICS.names) :] == [*beside, *COLUMNS.values()]
