"""The site doctor: what SLURM 22.05 printed on a real cluster, other sites' variations of it, and a real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.cluster import cluster, require

from finevar import ROOT
from finevar.commands import doctor, slurm
from finevar.commands.slurm import Answer, Partition, Site

CONFIG = """\
Configuration data as of 2026-11-25T13:44:11
AccountingStorageBackupHost = (null)
AccountingStorageEnforce = none
AccountingStorageType   = accounting_storage/none
ClusterName             = throwaway
JobRequeue              = 1
KillWait                = 30 sec
MaxJobCount             = 10000
MaxMemPerNode           = UNLIMITED
MinJobAge               = 300 sec
PowerPlugin             =\x20
PreemptMode             = REQUEUE
PreemptType             = preempt/partition_prio
SelectTypeParameters    = CR_CPU_MEMORY
SlurmctldHost[0]        = host(127.0.0.1)
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at host is UP
"""
PARTITIONS = """\
PartitionName=cpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A DefaultTime=00:10:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] PriorityJobFactor=1 PriorityTier=10 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=UP TotalCPUs=8 TotalNodes=2 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=500 MaxMemPerNode=UNLIMITED TRES=cpu=8,mem=32000M,node=2,billing=8
PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=NO QoS=N/A DefaultTime=00:10:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=g1 PriorityJobFactor=1 PriorityTier=10 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=UP TotalCPUs=4 TotalNodes=1 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=500 MaxMemPerNode=UNLIMITED TRES=cpu=4,mem=16000M,node=1,billing=4
PartitionName=scav AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=NO QoS=N/A DefaultTime=00:10:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=REQUEUE State=UP TotalCPUs=8 TotalNodes=2 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=500 MaxMemPerNode=UNLIMITED TRES=cpu=8,mem=32000M,node=2,billing=8
"""  # noqa: E501 - as printed
NODES = "cpu|4|16000|(null)|2\ngpu|4|16000|gpu:fake:2|1\nscav|4|16000|(null)|2\n"
ACCOUNTS = "lab|other|\nlab|lab|50\nlab|root|50\n"
NO_SACCT = Answer(1, "", "Slurm accounting storage is disabled\n")

CPU = Partition(
    name="cpu",
    default=True,
    up=True,
    nodes=2,
    cpus=4,
    memory_mb=16000,
    minutes=1440,
    gpus={},
    preemption="OFF",
    accounts=(),
)
GPU = replace(CPU, name="gpu", default=False, nodes=1, gpus={"fake": 2})
SCAV = replace(CPU, name="scav", default=False, preemption="REQUEUE")


def site(*partitions: Partition, **changes: object) -> Site:
    """Return the recorded site, or one that differs from it."""
    recorded = Site(
        config=slurm.read_config(CONFIG),
        partitions=list(partitions) or [CPU, GPU, SCAV],
        accounts=[],
        max_jobs=None,
        squeue=Answer(0),
        sacct=NO_SACCT,
    )
    config = recorded.config | {key: value for key, value in changes.items() if key[0].isupper()}
    return replace(recorded, config=config, **{key: value for key, value in changes.items() if key[0].islower()})


def levels(site: Site) -> dict[str, str]:
    """Return what the doctor says is not ok, by level."""
    return {told.level: str(told) for told in doctor.check_site(site, doctor.read_profile()) if told.level != "ok"}


def run_doctor(*options: str, seconds: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor as a person does."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return subprocess.run(
        [sys.executable, "-m", "finevar.commands.doctor", *options],
        env={**variables, "PYTHONPATH": str(ROOT / "scripts"), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture
def programs(tmp_path) -> Path:
    """Return a folder for PATH that has none of SLURM's programs, but what scripts need."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "env", "sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_config_is_read():
    config = slurm.read_config(CONFIG)
    assert config["MinJobAge"] == "300 sec"
    assert config["SelectTypeParameters"] == "CR_CPU_MEMORY"
    assert config.keys().isdisjoint({"AccountingStorageBackupHost", "PowerPlugin"})
    assert slurm.first_number(config["MinJobAge"]) == 300
    assert slurm.first_number(config["MaxMemPerNode"]) is None


@pytest.mark.parametrize(
    ("text", "minutes"),  # the forms that sbatch's manual lists for --time
    [
        ("90", 90),
        ("30:00", 30),
        ("00:10:00", 10),
        ("24:00:00", 1440),
        ("2-12", 3600),
        ("2-12:30", 3630),
        ("7-00:00:00", 10080),
        ("UNLIMITED", None),
        ("infinite", None),
        ("NONE", None),
    ],
)
def test_time_limits_are_read(text, minutes):
    assert slurm.read_minutes(text) == minutes


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("(null)", {}),
        ("gpu:fake:2", {"fake": 2}),
        ("gpu:2", {"any": 2}),
        ("gpu:a100:4(S:0-1),nvme:1", {"a100": 4}),
        ("gpu:a100:2,gpu:2080ti:1(S:1)", {"a100": 2, "2080ti": 1}),
        ("craynetwork:4,gpu:3090:8", {"3090": 8}),
        ("gpu:a100_3g.20gb:2(S:0)", {"a100_3g.20gb": 2}),
        ("gpumem:80", {}),
    ],
)
def test_gpus_are_read(text, gpus):
    assert slurm.read_gpus(text) == gpus


def test_partitions_are_read():
    assert slurm.read_partitions(PARTITIONS, NODES, slurm.read_config(CONFIG)) == [CPU, GPU, SCAV]
    assert slurm.read_partitions("", "", {}) == []


def test_partitions_of_other_sites_are_read():
    rows = (
        "PartitionName=big AllowAccounts=lab,guests Default=NO MaxTime=UNLIMITED State=UP MaxMemPerNode=90000\n"
        "PartitionName=old AllowAccounts=ALL Default=NO MaxTime=02:00:00 State=DRAIN\n"
    )
    nodes = "big|64|256000|gpu:a100:4(S:0-1)|3\nbig|32|128000|gpu:2|10\nold|8+|16000+|(null)|2\n"
    big, old = slurm.read_partitions(rows, nodes, {})
    assert (big.nodes, big.cpus, big.memory_mb, big.minutes) == (13, 64, 90000, None)
    assert (big.gpus, big.accounts, big.preemption) == ({"a100": 4}, ("lab", "guests"), "OFF")
    assert (old.up, old.cpus, old.memory_mb, old.minutes) == (False, 8, 16000, 120)
    assert site(big, accounts=["guests"]).may_use(big)
    assert not site(big, accounts=["others"]).may_use(big)


@pytest.mark.parametrize(
    ("kind", "mode", "tier", "becomes"),
    [
        ("preempt/none", "REQUEUE", "1", "OFF"),
        ("preempt/partition_prio", "REQUEUE", "1", "REQUEUE"),
        ("preempt/partition_prio", "REQUEUE", "10", "OFF"),
        ("preempt/partition_prio", "OFF", "1", "OFF"),
        ("preempt/partition_prio", "GANG,SUSPEND", "1", "SUSPEND"),
        ("preempt/qos", "CANCEL", "10", "CANCEL"),
    ],
)
def test_preemption_is_read(kind, mode, tier, becomes):
    row = {"PriorityTier": tier, "PreemptMode": mode}
    assert slurm.read_preemption(row, {"PreemptType": kind}, 10) == becomes


def test_accounts_are_read():
    assert slurm.read_accounts(ACCOUNTS) == (["lab", "other", "root"], 50)
    assert slurm.read_accounts("") == ([], None)


@pytest.mark.parametrize(
    ("age", "squeue", "sacct", "chosen"),
    [
        ("300 sec", True, False, "squeue"),
        ("300 sec", True, True, "squeue"),
        ("120 sec", True, True, "sacct"),  # enough for the plugin, but it may wait 180 s between two questions
        ("120 sec", True, False, None),
        ("300 sec", False, True, "sacct"),
        ("300 sec", False, False, None),
    ],
)
def test_the_status_command_is_one_that_works(age, squeue, sacct, chosen):
    there = site(MinJobAge=age, squeue=Answer(int(not squeue)), sacct=Answer(int(not sacct)))
    assert slurm.choose_status_command(there, first_check=20) == chosen
    assert levels(there).keys() == ({"problem"} if chosen is None else set())


def test_squeue_must_remember_for_three_times_the_first_wait():
    assert slurm.choose_status_command(site(), first_check=99) == "squeue"
    assert slurm.choose_status_command(site(), first_check=100) is None


def test_partitions_are_chosen():
    def choose(*partitions: Partition, gpu: bool = False, **size: int) -> str | None:
        chosen = slurm.choose_partition(site(*partitions), **{"memory_mb": 4000, "minutes": 120} | size, gpu=gpu)
        return chosen and chosen.name

    assert choose(SCAV, GPU, CPU) == "cpu"
    assert choose(SCAV, GPU, CPU, gpu=True) == "gpu"
    assert choose(SCAV, CPU, gpu=True) is None
    assert choose(SCAV, GPU) == "gpu"  # GPUs that idle are better than jobs that are pushed out
    assert choose(replace(CPU, minutes=60), SCAV) == "scav"
    assert choose(replace(CPU, minutes=None), minutes=10**6) == "cpu"
    assert choose(CPU, GPU, SCAV, memory_mb=16001) is None


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"KillWait": "5 sec"}, "note", "--signal=USR1@60"),
        ({"SelectTypeParameters": "CR_CORE"}, "note", "cores, but not memory"),
        ({"AccountingStorageEnforce": "associations,limits"}, "problem", "you have none"),
        ({"max_jobs": 50}, "note", "`jobs` must be 50 at most"),
        ({"partitions": [replace(CPU, memory_mb=3000)]}, "note", "lower set-resources (not under 500 MB)"),
        ({"partitions": [replace(CPU, memory_mb=3000)]}, "problem", "no partition takes the largest jobs"),
        ({"partitions": []}, "problem", "no partition takes the largest jobs"),
        ({"partitions": [replace(CPU, preemption="CANCEL")]}, "note", "waits for it forever"),
        ({"partitions": [CPU, replace(GPU, up=False)]}, "note", "it is not up"),
    ],
)
def test_what_stands_against_a_site_is_told(changes, level, words, monkeypatch):
    monkeypatch.delenv("SLURM_CONF", raising=False)
    assert not levels(site())
    assert words in levels(site(**changes))[level]


def test_profile_lines_of_a_site_with_accounts():
    there = site(
        replace(CPU, name="all"), AccountingStorageEnforce="associations", accounts=["lab", "other"], max_jobs=50
    )
    lines = doctor.profile_lines(there, doctor.read_profile(), 12.0)
    assert lines["default-resources"]["slurm_partition"] == "'all'"  # Python's all() otherwise
    assert lines["default-resources"]["slurm_account"] == "lab"
    assert lines["default-resources"]["mem_mb"] == doctor.read_profile()["default-resources"]["mem_mb"]
    assert (lines["jobs"], lines["latency-wait"]) == (50, 46)
    assert lines.keys().isdisjoint({"set-resources", "slurm-requeue"})


def test_gpu_lines_are_for_the_rules_that_use_a_gpu():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    rules = [rule for text in texts for rule in f"\n{text}".split("\nrule ")[1:]]
    using = {rule.partition(":")[0] for rule in rules if re.search(r"^\s+gpu=", rule, re.MULTILINE)}
    assert set(doctor.GPU_RULES) == using
    groups = doctor.read_profile()["groups"]
    shared = {groups[rule] for rule in doctor.GPU_RULES if rule in groups}
    assert {rule for rule, group in groups.items() if group in shared} <= set(doctor.GPU_RULES)


def test_a_trial_job_is_judged():
    told = {"node": "n1", "python": "3.11.7", "torch": "2.13.0", "processor": "A", "gpu": "", "dtype": "float32"}
    answer = Answer(0, f"Welcome to this cluster\n{json.dumps(told)}\n")

    def judge(answer: Answer, partition: Partition = CPU, **login: str) -> str:
        return doctor.judge_trial(partition, answer, told | login, 0.3).level

    assert judge(answer) == "ok"
    assert judge(answer, torch="2.12.0") == "problem"
    assert judge(answer, GPU) == "note", "torch sees no GPU"
    assert judge(Answer(1, "", "srun: error: Unable to allocate resources: Requested nodes are busy")) == "note"
    missing = (
        "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'torch'\nsrun: error\n"
    )
    assert "No module named 'torch'" in str(doctor.judge_trial(CPU, Answer(1, "", missing), told, 0.3))
    assert judge(Answer(0, "")) == "problem"


def test_packages_are_compared_with_the_lock(monkeypatch):
    assert doctor.compare_version("no-such-package", "1.0") == "no no-such-package"
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.13.0+cpu")
    assert doctor.compare_version("torch", "2.13.0") is None
    assert doctor.compare_version("torch", "2.13.1") == "torch 2.13.0+cpu instead of 2.13.1"


def test_a_missing_or_hanging_program_is_an_answer(tmp_path):
    assert slurm.ask("no-such-program", seconds=1).status == slurm.MISSING
    began = time.monotonic()
    answer = slurm.ask("sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 600; true", seconds=0.5)
    assert answer.status == slurm.HANGING
    assert time.monotonic() - began < 5
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_the_doctor_imports_no_torch():
    loaded = "import sys; from finevar.commands import doctor; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    assert subprocess.run([sys.executable, "-c", loaded], env=environment, check=False).returncode == 0


def test_a_machine_without_slurm(programs):
    done = run_doctor(PATH=str(programs))
    assert done.stderr == ""
    assert "note     no SLURM here" in done.stdout
    assert "results/ can be written to" in done.stdout
    assert done.returncode == ("\nproblem" in f"\n{done.stdout}")


def test_a_controller_that_hangs(programs):
    for name in ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun"):
        write_program(programs / name, "sleep 600")
    done = run_doctor("--submit", "--seconds", "0.5", PATH=str(programs))
    assert done.stderr == ""
    assert "SLURM's controller does not answer (scontrol ping: no answer within 0.5 s)" in done.stdout
    assert done.returncode == 1


def test_a_database_that_hangs(programs, tmp_path):
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "partitions").write_text(PARTITIONS)
    (tmp_path / "nodes").write_text(NODES)
    cases = f"*config) cat {tmp_path}/config;; *partition) cat {tmp_path}/partitions;; *) echo is UP;;"
    write_program(programs / "scontrol", f'case "$*" in {cases.replace("is UP", "Slurmctld at x is UP")} esac')
    write_program(programs / "sinfo", f"cat {tmp_path}/nodes")
    write_program(programs / "squeue", "true")
    for name in ("sacct", "sacctmgr", "sbatch", "scancel", "srun"):
        write_program(programs / name, "sleep 600")
    done = run_doctor("--seconds", "0.5", PATH=str(programs))
    assert done.stderr == ""
    assert "sacct fails (no answer within 0.5 s); slurm-status-command: squeue" in done.stdout
    assert "slurm_partition: cpu" in done.stdout


def test_a_real_cluster(tmp_path_factory):
    require()
    with cluster(tmp_path_factory.mktemp("c")) as real:
        done = run_doctor("--submit", **{name: real.environment[name] for name in ("PATH", "SLURM_CONF")})
        assert {job.name for job in real.jobs()} == {"finevar_doctor"}
        assert {job.state for job in real.jobs()} == {"COMPLETED"}
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith("problem") and "requirements.lock" not in line]
    assert "sacct fails (Slurm accounting storage is disabled); slurm-status-command: squeue" in done.stdout
    partitions = [line.split()[2].rstrip(":") for line in lines if line.startswith("ok       partition")]
    assert partitions == ["cpu", "gpu", "scav"]
    assert "16000 MB, 2 x GPU fake; 1440 min" in done.stdout
    trials = [line for line in lines if " trial job in " in line]
    assert len(trials) == 3
    assert all("file seen after 0." in line for line in trials)
    profile = yaml.safe_load(done.stdout.partition("\n\n")[2])
    assert profile["default-resources"]["slurm_partition"] == "cpu"
    assert profile["slurm-status-command"] == "squeue"
    assert profile["latency-wait"] == doctor.read_profile()["latency-wait"]
    for rule in doctor.GPU_RULES:
        before = doctor.read_profile()["set-resources"].get(rule, {})
        assert profile["set-resources"][rule] == before | {"slurm_partition": "gpu"}
    assert profile["slurm-requeue"] is True
    assert not list((ROOT / "results").glob(".doctor-*"))
