"""Jobs in forks of a warm process: real processes, sockets and signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finevar import LAYOUT, PACKAGE
from finevar.jobs import worker as warm

SCRIPTS = PACKAGE.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are asked for on Linux only")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:  # after tmp_path, whose place is set by the same variable
    """Return the private folder of a warm process of this test alone, and end the process afterwards."""
    place = tempfile.mkdtemp(prefix="fv")  # pytest's own folders are too deep for a socket
    monkeypatch.setattr(tempfile, "tempdir", place)
    monkeypatch.setenv("TMPDIR", place)
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    monkeypatch.delenv("FINEVAR_WARM", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(warm, "NEXT", {})
    yield Path(warm.private_folder())
    for pid in warm_processes(place):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not warm_processes(place))
    shutil.rmtree(place)


def warm_processes(place: str | Path) -> list[int]:
    """Return the processes whose command names a folder, warm ones and their forks."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "finevar.jobs.worker" in words and any(word.startswith(str(place)) for word in words):
            found.append(int(process.name))
    return sorted(found)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def wait_for(found: Callable[[], object]) -> object:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.02)
    raise TimeoutError


def pause(folder: Path, **settings: object) -> subprocess.Popen[str]:
    """Start a job that waits for a signal; settings: of the module."""
    script = "from finevar.jobs import worker\n"
    script += "".join(f"worker.{name} = {value!r}\n" for name, value in ({"NEXT": {}} | settings).items())
    script += f"worker.run_job('signal.pause', log={str(folder / 'pause.log')!r})"
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)


def fork_of(folder: Path) -> tuple[int, int]:
    """Return the warm process and the fork that it has, once it has one."""

    def pair() -> tuple[int, int] | None:
        processes = warm_processes(folder)
        return next(((parent(pid), pid) for pid in processes if parent(pid) in processes), None)

    return wait_for(pair)


def write(folder: Path, name: str) -> Path:
    warm.run_job("finevar.files.write_json", log=str(folder / f"{name}.log"), value={"job": name}, path=name)
    return folder / name


def test_jobs_share_one_process_and_work_where_they_are_called(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first.json", "second.json"):
        write(tmp_path, name)
        assert json.loads((tmp_path / name).read_text()) == {"job": name}
        assert "write_json" in (tmp_path / f"{name}.log").read_text()
    assert len(warm_processes(folder)) == 1


def test_a_process_can_be_asked_while_it_imports(folder, tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(warm, "NEEDED", {"training": ("slow",)})
    monkeypatch.chdir(tmp_path)
    start = time.monotonic()
    assert write(tmp_path, "first.json").exists()
    assert time.monotonic() - start > 1
    assert len(warm_processes(folder)) == 1


def test_the_process_for_analyses_stays_up_while_a_run_is_trained(folder):
    needed = {"training": (), "analysis": ()}
    job = pause(folder, NEXT={"training": "analysis"}, NEEDED=needed, IDLE_SECONDS=0.2)
    fork_of(folder.parent)
    analysis = warm.private_folder("analysis")
    (server,) = wait_for(lambda: warm_processes(analysis))
    time.sleep(2.5)  # it looks once a second
    assert warm_processes(analysis) == [server]
    job.kill()
    job.communicate()
    wait_for(lambda: not warm_processes(folder.parent))


def test_what_serves_all_forks_starts_with_the_first_job_and_ends_with_the_process(folder, tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text(
        "import signal\ndef serve(folder):\n    (folder / 'served').touch()\n    signal.pause()\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(warm, "BESIDE", {"training": "slow.serve"})
    monkeypatch.chdir(tmp_path)
    with warm.connect("training"):
        (server,) = warm_processes(folder)
        write(tmp_path, "first.json")
        wait_for((folder / "served").exists)
        assert write(tmp_path, "second.json").exists()
    assert fork_of(folder)[0] == server
    os.kill(server, signal.SIGTERM)
    wait_for(lambda: not warm_processes(folder))


def test_analyses_of_any_number_of_threads_share_a_process(folder, monkeypatch):
    found = {"training": set(), "analysis": set()}
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        for kind, folders in found.items():
            folders.add(warm.private_folder(kind))
    assert len(found["training"]) == 2
    assert len(found["analysis"]) == 1
    assert warm.variables("analysis")["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("variable", [("FINEVAR_WARM", "0"), ("SLURM_JOB_ID", "7")])
def test_it_is_off_where_it_is_not_wanted(folder, tmp_path, monkeypatch, variable):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(*variable)
    assert write(tmp_path, "alone.json").exists()
    assert not warm_processes(folder)


def test_a_folder_that_others_can_open_is_not_used(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert warm.private_folder() is None
    assert write(tmp_path, "alone.json").exists()
    assert not warm_processes(folder)


def test_an_error_reaches_the_job(folder, tmp_path, capfd):
    with pytest.raises(SystemExit) as stopped:
        warm.run_job("finevar.files.read_json", log=str(tmp_path / "job.log"), path=str(tmp_path / "absent.json"))
    assert stopped.value.code == 1
    assert "FileNotFoundError" in (tmp_path / "job.log").read_text()
    assert "absent.json" in capfd.readouterr().err
    assert len(warm_processes(folder)) == 1


def test_a_fork_that_is_killed_costs_its_own_job_only(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = pause(folder)
    server, fork = fork_of(folder)
    os.kill(fork, signal.SIGKILL)
    _, told = job.communicate(timeout=60)
    assert job.returncode == 1
    assert "SIGKILL" in told
    assert "memory" in told
    assert write(tmp_path, "next.json").exists()
    assert warm_processes(folder) == [server]


def test_a_fork_ends_with_its_job(folder):
    job = pause(folder)
    server, _ = fork_of(folder)
    job.kill()
    job.communicate()
    wait_for(lambda: warm_processes(folder) == [server])


def test_without_its_warm_process_a_job_does_its_work_itself(folder):
    job = pause(folder)
    server, fork = fork_of(folder)
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{fork}").exists())
    wait_for((folder / "pause.log").exists)
    time.sleep(0.5)
    assert job.poll() is None  # now it is the job itself that waits for a signal
    job.send_signal(signal.SIGUSR1)
    job.communicate(timeout=60)
    assert job.returncode == -signal.SIGUSR1


def test_it_ends_when_nobody_asks(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warm, "IDLE_SECONDS", 0.5)
    write(tmp_path, "only.json")
    assert warm_processes(folder)
    wait_for(lambda: not warm_processes(folder))
    assert not (folder / "socket").exists()
    assert write(tmp_path, "later.json").exists()


def test_what_a_killed_one_left_is_no_hindrance(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "first.json")
    (server,) = warm_processes(folder)
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)  # this process has started it
    assert (folder / "socket").exists()
    assert write(tmp_path, "second.json").exists()
    assert len(warm_processes(folder)) == 1


def test_a_warm_process_that_is_asked_to_end_has_its_forks_end_first(folder, tmp_path):
    """As at a shutdown; the job, which is not asked here, then does its work itself."""
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "from finevar.jobs.log import asked_to_end\n"
        "def work(path):\n"
        "    with asked_to_end() as asked, open(path, 'a') as file:\n"
        "        print(os.getpid(), 'begun', file=file, flush=True)\n"
        "        while not asked and os.getppid() != int(os.environ['JOBS_PARENT']):\n"
        "            time.sleep(0.01)\n"
        "        time.sleep(0.5)\n"
        "        print(os.getpid(), 'saved', file=file, flush=True)\n"
    )
    script = "from finevar.jobs import worker; worker.NEXT = {}; "
    script += f"worker.run_job('slow.work', log={str(tmp_path / 'job.log')!r}, path='told')"
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path)])
    variables = os.environ | {"PYTHONPATH": path, "JOBS_PARENT": str(os.getpid())}
    job = subprocess.Popen([sys.executable, "-c", script], env=variables, cwd=tmp_path)
    wait_for(lambda: (tmp_path / "told").exists() and "begun" in (tmp_path / "told").read_text())
    server, fork = fork_of(Path(os.environ["TMPDIR"]))
    os.kill(server, signal.SIGTERM)
    assert job.wait(timeout=60) == 0
    told = (tmp_path / "told").read_text().splitlines()
    assert told == [f"{fork} begun", f"{fork} saved", f"{job.pid} begun", f"{job.pid} saved"]
    wait_for(lambda: not warm_processes(os.environ["TMPDIR"]))


def test_jobs_of_models_of_transformers_have_a_process_of_their_own(tmp_path):
    for name, config in (("own", {LAYOUT: "flat"}), ("fast", {"model_type": "distilbert"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    kinds = [
        warm.kind_of({key: str(tmp_path / name)}) for key in ("start", "model") for name in ("own", "fast", "none")
    ]
    assert kinds == ["encoders", "training", "training"] * 2
    assert set(warm.NEEDED["training"]) < set(warm.NEEDED["encoders"])


def test_trainings_of_distilbert_import_no_transformers():
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "print(any(name.partition('.')[0] == 'transformers' for name in sys.modules))"
    command = [sys.executable, "-c", code, *warm.NEEDED["training"]]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
