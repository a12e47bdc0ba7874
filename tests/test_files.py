"""Files between jobs: whole or not there, and damage is found, reported and quarantined."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from safetensors import SafetensorError

from finevar import files
from finevar.errors import InputError

FACTS = {"text": "é\n", "none": None, "number": 2.5e-05, "list": [1, "a", {"deep": True}]}


def test_json_comes_back(tmp_path):
    files.write_json(FACTS, tmp_path / "a.json")
    assert files.read_json(tmp_path / "a.json") == FACTS
    files.write_facts(FACTS, tmp_path / "b.json")
    assert files.read_facts(tmp_path / "b.json") == FACTS


def test_the_seal_is_the_sha256_of_the_file_with_a_blank_seal(tmp_path):
    files.write_facts({"a": 1}, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    seal = text.split("sealed-sha256=")[1][:64]
    assert hashlib.sha256(text.replace(seal, "0" * 64).encode()).hexdigest() == seal


@pytest.mark.parametrize("place", range(0, 150, 7))
def test_a_single_other_byte_is_found_and_the_file_set_aside(tmp_path, place):
    path = tmp_path / "a.json"
    files.write_facts(FACTS, path)
    spoilt = bytearray(path.read_bytes())
    spoilt[place % len(spoilt)] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(
        InputError, match=r"a\.json: found a file that is damaged.*now a\.json\.damaged; start Snakemake"
    ):
        files.read_facts(path)
    assert not path.exists()
    assert (tmp_path / "a.json.damaged").read_bytes() == spoilt
    with pytest.raises(InputError, match="found nothing, or a file that another job has just quarantined"):
        files.read_facts(path)


def test_a_large_file_is_sealed_in_place_as_in_memory(tmp_path):
    data = b"before " + files.blank_seal().encode() + b" after" * 1000
    (tmp_path / "a").write_bytes(data)
    files.seal_file(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == files.sealed(data)
    assert files.is_sealed_file(tmp_path / "a")
    (tmp_path / "empty").touch()
    assert not files.is_sealed_file(tmp_path / "empty")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model" / "deep").mkdir(parents=True)
    for name in ("config.json", "deep/file"):
        (tmp_path / "model" / name).write_text(name)
    files.write_sums(tmp_path / "model")
    return tmp_path / "model"


def test_the_sums_of_a_folder_are_those_of_sha256sum(folder):
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", files.SUMS], cwd=folder, capture_output=True, text=True
    )
    assert checked.returncode == 0
    assert checked.stdout.splitlines() == ["config.json: OK", "deep/file: OK"]
    assert files.check_sums(folder)["config.json"] == hashlib.sha256(b"config.json").hexdigest()


def test_what_snakemake_puts_into_a_folder_is_no_damage(folder):
    (folder / ".snakemake_timestamp").touch()
    (folder / ".cache").mkdir()  # of the Hub's libraries
    (folder / ".cache" / "copy.lock").touch()
    assert set(files.check_sums(folder)) == {"config.json", "deep/file"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "deep/file").write_text("other"), "found a damaged deep/file"),
        (lambda folder: (folder / "config.json").unlink(), "found other files than SHA256SUMS lists"),
        (lambda folder: (folder / files.SUMS).unlink(), "found no SHA256SUMS"),
        (lambda folder: (folder / files.SUMS).write_text(""), "found a SHA256SUMS that is damaged"),
        (lambda folder: (folder / files.SUMS).write_text("nonsense"), "found a SHA256SUMS that is damaged"),
        (lambda folder: (folder / files.SUMS).write_bytes(b"\xff\xfe"), "found a SHA256SUMS that is damaged"),
    ],
)
def test_a_damaged_folder_is_set_aside(folder, spoil, told):
    folder.with_name("model.damaged").mkdir()  # from an earlier time
    spoil(folder)
    with pytest.raises(InputError, match=f"model: {told}"):
        files.check_sums(folder)
    assert not folder.exists()
    assert (folder.with_name("model.damaged") / "deep").exists()
    with pytest.raises(InputError, match="found nothing"):
        files.check_sums(folder)


# Errors of the system -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), SafetensorError("I/O error: No space left on device (os error 28)")],
)
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, error):
    def write() -> None:
        with files.appearing(tmp_path / "metrics.parquet") as beside:
            beside.write_bytes(b"half")
            raise error

    with pytest.raises(OSError, match=r"No space left on device: '.*/metrics\.parquet'") as raised:
        write()
    assert raised.value.errno == 28
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_safetensors_that_is_none_of_the_system_stays(tmp_path):
    with pytest.raises(SafetensorError, match="header too large"), files.naming(tmp_path / "a"):
        raise SafetensorError("header too large")
