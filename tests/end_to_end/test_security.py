"""What others wrote - models, data, archives, configs - is read as data: it is never run, nor taken for markup."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_report import figures, render
from test_worker import folder as warm_folder  # noqa: F401  a fixture
from test_worker import fork_of, pause

from finevar import ROOT
from finevar.analyses.errors import Corpus, error_rows
from finevar.data.encoding import encode
from finevar.errors import InputError
from finevar.jobs import worker as warm
from finevar.models.checkpoint import load_model
from finevar.models.fetch import fetch_model, find_model
from finevar.results.predictions import Predictions
from finevar.tables import TABLES
from report_fixtures import CENTRE, explore, facts, fitting, simulate
from tiny import make_model

SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]

# The code itself ------------------------------------------------------------------------------------------------------

RUNS_WHAT_IT_READS = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = re.compile(
    r"eval|exec|compile|__import__|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.get(status)?output"
    r"|(torch|np|numpy)\.load|torch\.hub\.\w+|(pd|pandas)\.read_pickle|yaml\.(load|load_all|unsafe_load|full_load)"
)
SHELL = re.compile(r"^\s*(shell|run)\s*:|\bshell\s*\(", re.MULTILINE)
KEYWORDS = {"allow_pickle", "trust_remote_code", "shell"}


def offences(code: str) -> list[str]:
    """Return the places of a module that would run what they read, or hand words to a shell."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [name for name in names if name.partition(".")[0] in RUNS_WHAT_IT_READS]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [name] if CALLS.fullmatch(name) else []
            asked = (word for word in node.keywords if ast.unparse(word.value) != "False")
            found += [str(word.arg) for word in asked if word.arg in KEYWORDS]
            words = node.args[0] if name.startswith("subprocess.") and node.args else None
            found += [name] if isinstance(words, ast.Constant | ast.JoinedStr | ast.BinOp) else []
    return found


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_it_reads_or_calls_a_shell(path):
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import torch; torch.load('x')",
        "np.load('x', allow_pickle=True)",
        "AutoModel.from_pretrained('x', trust_remote_code=trusted)",
        "eval('1')",
        "yaml.load(text)",
        "os.system('ls')",
        "os.popen('ls')",
        "subprocess.run(['ls'], shell=True)",
        "subprocess.run(f'ls {name}')",
        "subprocess.check_output('ls ' + name)",
    ],
)
def test_such_a_module_would_be_found(code):
    assert offences(code)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_no_rule_has_a_shell_command(path):
    assert not SHELL.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", ["rule a:\n    shell:\n        'ls'", "rule a:\n    run:\n        x()", "shell('ls')"])
def test_such_a_rule_would_be_found(rule):
    assert SHELL.search(rule)


def test_only_what_the_report_makes_itself_is_put_into_it_as_markup():
    templates = sorted((ROOT / "scripts" / "finevar" / "report" / "templates").glob("*.html"))
    markup = [
        word for path in templates for word in re.findall(r"{{([^}]*)\|\s*safe", path.read_text(encoding="utf-8"))
    ]
    assert sorted(word.strip() for word in markup) == [
        *("content.explorer", "dark", "dark", "figure.spec", "figure.still", "figure.svg", "program"),
    ]
    assert not any("autoescape" in path.read_text(encoding="utf-8") for path in templates)


# Models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    path = tmp_path / "checkpoint"
    make_model(path, layers=1, dim=8, heads=2)
    return path


def refusal(source: Any, fetch: Any, *rest: Any, **named: Any) -> str:
    with pytest.raises(InputError) as caught:
        fetch(source, *rest, **named)
    return str(caught.value)


def test_weights_that_only_a_pickle_holds_are_refused(checkpoint, tmp_path):
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    source = {"kind": "local", "path": str(checkpoint)}
    for told in (refusal(source, fetch_model, tmp_path / "model"), refusal(tmp_path, find_model, where="a package")):
        assert "found no model.safetensors. Allowed: a model as config.json and one model.safetensors" in told
        assert "pytorch_model.bin, can run code when read" in told
    assert not (tmp_path / "model").exists()


def test_code_beside_a_model_is_not_run_and_not_kept(checkpoint, tmp_path, monkeypatch):
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'run')!r}).touch()\n"
    for name in ("modeling_evil.py", "tokenization_evil.py", "configuration_evil.py", "__init__.py", "setup.py"):
        (checkpoint / name).write_text(trap)
    classes = {"AutoModel": "modeling_evil.Evil", "AutoConfig": "configuration_evil.Evil"}
    for name, auto in {
        "config.json": classes,
        "tokenizer_config.json": {"AutoTokenizer": "tokenization_evil.E"},
    }.items():
        settings = json.loads((checkpoint / name).read_text())
        (checkpoint / name).write_text(json.dumps(settings | {"auto_map": auto}))
    monkeypatch.syspath_prepend(str(tmp_path))
    output = tmp_path / "model"
    fetch_model({"kind": "local", "path": str(checkpoint)}, output)
    assert load_model(output)[1].layers == 1
    assert len(encode(["good film"], [0], output).tokens) == 4
    assert not (tmp_path / "run").exists()
    assert not list(output.rglob("*.py"))
    assert not any("auto_map" in path.read_text() for path in output.glob("*.json"))
    exec(trap)  # the trap is one
    assert (tmp_path / "run").exists()


# The Makefile ---------------------------------------------------------------------------------------------------------

ODD_NAMES = [
    "two words.yaml",
    "quo'te.yaml",
    'quo"te.yaml',
    "$(touch escaped).yaml",
    "`touch escaped`.yaml",
    "a; touch escaped #.yaml",
    "a&touch escaped&.yaml",
    "a>escaped.yaml",
    "$HOME*.yaml",
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """Return a clone without its environment, for which the one that runs the tests stands in."""
    path = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "Snakefile", "requirements.lock"):
        shutil.copy(ROOT / name, path)
    for name in ("config", "envs", "scripts", "workflow"):
        ignored = shutil.ignore_patterns("__pycache__")  # other tests write there meanwhile
        shutil.copytree(ROOT / name, path / name, symlinks=True, ignore=ignored)
    (path / ".venv").symlink_to(sys.prefix)
    return path


def make(clone: Path, target: str, config: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Call make, which is not to set up an environment, on a copy of the default config under another name.

    It does not know of a make that started the tests, nor of what that was asked.
    """
    shutil.copy(clone / "config" / "config.yaml", clone / config)
    command = ["make", "--silent", "-o", ".venv/.complete", target, f"CONFIG={config}", *variables]
    kept = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "ARGS")}
    return subprocess.run(command, cwd=clone, env=kept, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("config", ODD_NAMES)
@pytest.mark.parametrize("target", ["study", "dry-run", "provenance"])
def test_make_takes_the_name_of_a_config_as_one_word(clone, target, config):
    shown = "printf '<%s>\\n'"  # the words that would be called
    done = make(clone, target, config, f"RUN={shown}", f"LAUNCH={shown}")
    assert done.returncode == 0, done.stderr
    assert f"<--configfile>\n<{config}>\n" in done.stdout
    assert target != "provenance" or "results/quickstart/" in done.stdout
    assert not (clone / "escaped").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_plans_a_study_whose_config_has_an_odd_name(clone):
    done = make(clone, "dry-run", "it's $(touch escaped) `touch escaped`.yaml")
    assert done.returncode == 0, done.stderr
    assert "finetune_run" in done.stdout
    assert not (clone / "escaped").exists()


# The report -----------------------------------------------------------------------------------------------------------

MARKUP = (
    "<script>alert(1)</script> \"><img src=x onerror=alert(1)> '><svg onload=alert(1)> {{ 7 * 7 }}{% raw %} "
    "</script><script>alert(1)</script> </noscript></pre></td><a href=javascript:alert(1)>x</a> "
    "<!-- <script>"
)


def with_text(text: str) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Return a study's tables and facts with a text wherever a config, a data set or a failed run could put one."""
    tables, known = explore(simulate(diverged=2)), copy.deepcopy(facts())
    for table in tables.values():
        if "dataset" in table:
            table["dataset"] = table["dataset"].mask(table["dataset"] != "", text)
    claim = {"name": text, "statement": text, "source": text, "reason": text, "verdict": "undecided"}
    claim |= {"response": "loss", "framework": "absolute", "term": "epochs", "finding": "effect"}
    tables["claims"] = fitting(TABLES["claims"].schema, [claim])
    point = str(tables["recommendation"]["point_id"].iloc[0])
    models = pd.DataFrame({"role": ["baseline", "run"], "dataset": text, "point_id": ["baseline", point]})
    wrong = Predictions(np.array(["id"]), np.array([0]), np.array([[[1, 0]], [[0, 1]]], np.float32))
    errors = error_rows(models, {text: wrong}, {text: Corpus((text, "b"), {"id": text})}, shown=1)
    tables |= {name: fitting(TABLES[name].schema, rows) for name, rows in errors.items()}
    lost = tables["metrics"]["status"] != "ok"
    tables["metrics"].loc[lost, "reason"] = text
    for column in ("device", "python", "torch", "engine", "dtype_used"):
        tables["metrics"][column] = text
    prepared = next(iter(known["datasets"].values()))
    known["datasets"] = {text: prepared | {"classes": [text, "b"], "data_sha256": text}}
    config = known["config"]
    config |= {"study": text, "model": text}
    config["sources"] = {
        text: {"kind": "local", "path": text},
        "p": {"kind": "package", "package": text, "sha256": text},
    }
    config["datasets"] = {text: {"source": text, "file": text, "text": text, "label": text}}
    config["baseline"] |= {"dataset": text}
    config["sweep"] |= {"datasets": [text], "design": {"kind": "table", "file": text}}
    return tables, known


def page_of(text: str) -> tuple[str, Counter[tuple[str, ...]], str]:
    """Return the report of such a study, how often it has each tag with its attributes, and its words."""
    tables, known = with_text(text)
    html, page = render(tables, known, figures(tables))
    return html, Counter((element.tag, *sorted(element.attributes)) for element in page.elements), page.words


def test_texts_of_others_are_no_markup_in_the_report():
    html, tags, words = page_of(MARKUP)
    assert tags == page_of("harmless")[1]
    assert words.count(MARKUP) >= 10
    specs = re.findall(r'<script type="application/json" class="spec"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert len(specs) == len(CENTRE) + 10
    explorer = re.search(r'<script type="application/json" id="explorer-data">(.*?)</script>', html, re.DOTALL)[1]
    assert not any("<" in spec for spec in (*specs, explorer))
    assert any(MARKUP in json.dumps(json.loads(spec), ensure_ascii=False).replace('\\"', '"') for spec in specs)


# The warm process -----------------------------------------------------------------------------------------------------


def sockets(pid: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def inodes(pid: int, *kinds: str) -> set[str]:
    """Return the inodes of the sockets of some kinds in the network that a process sees."""
    column = {"unix": 6}
    tables = {kind: Path(f"/proc/{pid}/net/{kind}") for kind in kinds}
    rows = [(kind, line.split()) for kind, path in tables.items() if path.exists() for line in path.open()]
    return {words[column.get(kind, 9)] for kind, words in rows if len(words) > column.get(kind, 9)}


NETWORK = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6")


@pytest.mark.skipif(sys.platform != "linux", reason="forks are asked for on Linux only")
@pytest.mark.usefixtures("warm_folder")
def test_the_warm_process_and_its_forks_have_no_network_address():
    place = warm.private_folder()
    job = pause(place)
    server, fork = fork_of(place)
    for pid in (server, fork):
        assert not sockets(pid) & inodes(pid, *NETWORK)
    assert sockets(server) & inodes(server, "unix")
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "socket").is_socket()
    job.kill()
    job.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="forks are asked for on Linux only")
@pytest.mark.parametrize(
    ("family", "kind"), [(socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)]
)
def test_a_network_address_would_be_found(family, kind):
    with socket.socket(family, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        assert sockets(os.getpid()) & inodes(os.getpid(), *NETWORK)
