"""Look at a site before a study runs there: what is found, what to do about it, which lines the SLURM profile needs.

usage: PYTHONPATH=scripts python -m finevar.commands.doctor [--submit] [--seconds N]
"""

from __future__ import annotations

import argparse
import builtins
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from finevar import ROOT
from finevar.commands import slurm
from finevar.commands.slurm import Answer, Partition, Site, ask, first_number
from finevar.errors import InputError
from finevar.jobs.log import check_writable

PROFILE = ROOT / "workflow" / "profiles" / "slurm" / "config.v9+.yaml"
DISK_GB, GRACE_SECONDS = 5, 15  # what a study wants, and what a run wants to save its state
# With both rules of a group, as all of a group must name one partition.
GPU_RULES = (
    "train_baseline", "evaluate_baseline", "finetune_run", "evaluate_run", "confirm_run", "time_pilot", "export_model",
)  # fmt: skip
FLOOR_MB = 500  # of a SLURM job, as the two Snakemakes around its script take 300
IMPORT_SECONDS, QUEUE_SECONDS, SIGHT_SECONDS = 120, 60, 60  # for torch, for a free node, for a file to be seen
SHARED = "this folder and its .venv must be on a file system that the compute nodes share"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; its level is ok, note or problem."""

    level: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level:<8} {self.found}" + (f"; {self.remedy}" if self.remedy else "")


def judge(fine: bool, found: str, remedy: str, *, level: str = "note") -> Finding:
    """Return what was found as fine or, at a level, with what to do about it."""
    return Finding("ok", found) if fine else Finding(level, found, remedy)


def main(arguments: list[str] | None = None) -> int:
    """Print all findings, then the lines for the profile; return 1 if there is a problem, else 0."""
    parser = argparse.ArgumentParser(
        prog="finevar.commands.doctor", description="Check this machine and its SLURM for finevar."
    )
    parser.add_argument("--submit", action="store_true", help="run a job of a few seconds in each SLURM partition")
    parser.add_argument("--seconds", type=float, default=20, help="longest wait for an answer from SLURM (%(default)s)")
    options = parser.parse_args(arguments)
    problems = 0
    for seen in examine(submit=options.submit, seconds=options.seconds):
        print(seen, flush=True)
        problems += isinstance(seen, Finding) and seen.level == "problem"
    return min(problems, 1)


def examine(*, submit: bool, seconds: float) -> Iterator[Finding | str]:
    """Look at the machine, then at SLURM if there is one."""
    here = ask(*probe_command(), seconds=IMPORT_SECONDS)
    results = check_results()
    yield from (check_packages(), *check_machine(here), results)
    if unusable := check_controller(seconds):
        yield unusable
        return
    site, profile = slurm.survey(seconds), read_profile()
    yield from check_site(site, profile)
    latency = 0.0
    for finding, seen_after in try_partitions(site, profile, here) if submit and results.level == "ok" else []:
        yield finding
        latency = max(latency, seen_after)
    yield f"\n# For {PROFILE.relative_to(ROOT)}, in place of what stands there under these keys:"
    if any(partition.gpus for partition in site.partitions):
        yield "# (set-resources is for studies with gpus_per_run: 1 in their config; others need no GPU partition)"
    yield yaml.safe_dump(profile_lines(site, profile, latency), sort_keys=False).rstrip()


def read_profile() -> dict[str, Any]:
    """Return the SLURM profile; a key that it has not is as Snakemake and the plugin have it."""
    numbers = {"jobs": 100, "latency-wait": 5, "slurm-init-seconds-before-status-checks": 40}
    empty = {"default-resources": {}, "set-resources": {}, "groups": {}}
    return numbers | empty | yaml.safe_load(PROFILE.read_text(encoding="utf-8"))


def probe_command(*files: str) -> list[str]:
    """Return a command that prints what finevar meets on a machine; torch is imported there, not in this process."""
    path = os.pathsep.join(filter(None, (str(ROOT / "scripts"), os.environ.get("PYTHONPATH"))))
    return ["env", f"PYTHONPATH={path}", sys.executable, "-m", "finevar.commands.probe", *files]


def read_probe(answer: Answer) -> dict[str, str] | None:
    """Return what that command has printed, whatever a site prints around it; None if it failed."""
    lines = [line for line in answer.text.splitlines() if line.startswith("{")]
    return json.loads(lines[0]) if answer.ok and lines else None


def check_packages() -> Finding:
    """Compare what is installed with requirements.lock."""
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    other = [seen for name, wanted in pins if (seen := compare_version(name, wanted))]
    found = f"Python {platform.python_version()} with the {len(pins)} packages of requirements.lock"
    found = f"differs from requirements.lock: {', '.join(other)}" if other else found
    return judge(not other, found, "`make env`, then use .venv", level="problem")


def compare_version(name: str, wanted: str) -> str | None:
    """Return what is there instead of a pinned version; a build of it, as 2.13.0+cpu, is the same."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"no {name}"
    return None if version.partition("+")[0] == wanted else f"{name} {version} instead of {wanted}"


def check_machine(here: Answer) -> Iterator[Finding]:
    """Yield size and kind of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    disk = shutil.disk_usage(".").free / 1e9
    size = f"{cores} cores, {memory:.0f} GB of memory, {disk:.0f} GB free in {Path.cwd()}"
    yield judge(disk >= DISK_GB, size, f"free some: a study wants {DISK_GB} GB")
    seen = read_probe(here)
    if seen is None:
        yield Finding("problem", f"torch cannot be used: {here.reason}", "run `make env`, then use .venv")
        return
    yield Finding("ok", f"{seen['processor']}, {bfloat16(seen)}, GPU: {seen['gpu'] or 'none'}")
    gpus = ask("nvidia-smi", "--list-gpus", seconds=20)
    if gpus.ok and gpus.text.strip() and not seen["gpu"]:
        yield Finding("note", f"torch {seen['torch']} does not see {gpus.reason}", "install a CUDA build of torch")


def bfloat16(seen: dict[str, str]) -> str:
    """Say which type a machine multiplies matrices in by itself."""
    return "native bfloat16" if seen["dtype"] == "bfloat16" else "no native bfloat16 (dtype auto is float32)"


def check_results() -> Finding:
    """Find whether results can be written here."""
    try:
        check_writable(Path("results"))
    except InputError as error:
        return Finding("problem", str(error))
    return Finding("ok", "results/ can be written to")


def check_controller(seconds: float) -> Finding | None:
    """Find why SLURM is of no use here, if so."""
    ping = ask("scontrol", "ping", seconds=seconds)
    if ping.status == slurm.MISSING:
        return Finding("note", "no SLURM here", "`make study` runs on this machine; --profile slurm needs a login node")
    absent = [name for name in ("sbatch", "scancel", "sinfo", "squeue", "srun") if not shutil.which(name)]
    if absent:
        return Finding("problem", f"SLURM without {', '.join(absent)}", "use another login node, or ask the site")
    if not ping.ok or " is UP" not in ping.text:
        remedy = "try later, wait longer (--seconds), or ask the site"
        return Finding("problem", f"SLURM's controller does not answer (scontrol ping: {ping.reason})", remedy)
    return None


def check_site(site: Site, profile: dict[str, Any]) -> Iterator[Finding]:
    """Yield what holds for all jobs, then what each partition allows."""
    yield Finding("ok", f"SLURM {site.config.get('SLURM_VERSION')}, cluster {site.config.get('ClusterName')}")
    if conf := os.environ.get("SLURM_CONF"):
        remedy = "if theirs say 'Unable to contact slurm controller', ask the site to put that file into /etc/slurm"
        yield Finding("note", f"SLURM_CONF={conf} is kept from the srun within Snakemake's jobs", remedy)
    yield check_status_command(site, profile)
    yield check_accounts(site)
    yield from check_jobs(site, profile)
    for partition in site.partitions:
        yield check_partition(partition, site, profile)
    if not slurm.choose_partition(site, **needs(profile), gpu=False):
        yield Finding("problem", "no partition takes the largest jobs", "lower set-resources, or ask the site")


def check_status_command(site: Site, profile: dict[str, Any]) -> Finding:
    """Find how Snakemake learns that a job has ended."""
    chosen = slurm.choose_status_command(site, first_check=profile["slurm-init-seconds-before-status-checks"])
    squeue, sacct = ("works" if each.ok else f"fails ({each.reason})" for each in (site.squeue, site.sacct))
    age = site.config.get("MinJobAge", "unknown")
    found = f"squeue {squeue} and lists ended jobs for MinJobAge = {age}, sacct {sacct}"
    if chosen:
        return Finding("ok", found, f"slurm-status-command: {chosen}")
    return Finding("problem", found, "Snakemake would wait forever: ask the site for MinJobAge=300 or for accounting")


def check_accounts(site: Site) -> Finding:
    """Find which accounts jobs may go to."""
    if site.accounts:
        return Finding("ok", f"your accounts: {', '.join(site.accounts)}", "slurm_account picks one")
    if site.needs_account:
        return Finding("problem", "SLURM requires an account, and you have none", "ask the site for one")
    return Finding("ok", "no account is needed")


def check_jobs(site: Site, profile: dict[str, Any]) -> Iterator[Finding]:
    """Yield what a job gets of a node's memory, how it ends, and how many may be in the queue.

    Limits of job arrays do not matter, as the profile uses none.
    """
    shared = site.config.get("SelectTypeParameters", "none")
    own = "MEMORY" in shared.upper()
    found = "a job gets the memory that it asks for" if own else "SLURM allocates cores, but not memory"
    remedy = (
        "together they can exhaust a node's memory: lower `jobs`, or ask for whole nodes (slurm_extra: "
        "\"'--exclusive'\")"
    )
    yield judge(own, f"{found} ({shared})", remedy)
    wait = first_number(site.config.get("KillWait")) or 0
    again = "is" if site.config.get("JobRequeue", "1") == "1" else "is not"
    found = f"a job has {wait} s (KillWait) to end when asked to; that of a lost node {again} requeued by default"
    remedy = "slurm_extra: \"'--signal=USR1@60'\" under default-resources warns it a minute before its time limit"
    yield judge(wait >= GRACE_SECONDS, found, remedy)
    found = (
        f"the queue holds {site.config.get('MaxJobCount', '?')} jobs, of which {site.max_jobs or 'all'} may be yours"
    )
    yield judge(not is_limited(site, profile), found, f"`jobs` must be {site.max_jobs} at most")


def is_limited(site: Site, profile: dict[str, Any]) -> bool:
    """Say whether fewer jobs may be in the queue than the profile puts there."""
    return site.max_jobs is not None and site.max_jobs < profile["jobs"]


def check_partition(partition: Partition, site: Site, profile: dict[str, Any]) -> Finding:
    """Find what a partition allows, and what stands against it."""
    cards = "".join(f", {count} x GPU {model}" for model, count in partition.gpus.items())
    limit = "no time limit" if partition.minutes is None else f"{partition.minutes} min"
    found = (
        f"partition {partition.name}{' (default)' * partition.default}: nodes {partition.nodes}, each up to "
        f"{partition.cpus} cores, {partition.memory_mb} MB{cards}; {limit}, preemption {partition.preemption}"
    )
    if not site.may_use(partition):
        return Finding("note", found, "it accepts no jobs from your accounts" if partition.up else "it is not up")
    if not partition.fits(**needs(profile)):
        size = "{memory_mb} MB and {minutes} min".format(**needs(profile))
        return Finding("note", found, f"training asks for {size}: lower set-resources (not under {FLOOR_MB} MB)")
    if partition.preemption == "CANCEL":
        return Finding("note", found, "a preempted job is cancelled, and Snakemake waits for it forever: use another")
    return Finding("ok", found)


def needs(profile: dict[str, Any]) -> dict[str, int]:
    """Return the megabytes and minutes that the profile asks for at most, at a first attempt."""
    rules = [profile["default-resources"], *profile["set-resources"].values()]
    memory, minutes = (max(first_number(rule.get(key)) or 0 for rule in rules) for key in ("mem_mb", "runtime"))
    return {"memory_mb": max(memory, FLOOR_MB), "minutes": minutes}


def try_partitions(site: Site, profile: dict[str, Any], here: Answer) -> list[tuple[Finding, float]]:
    """Run a job in each partition, all at once, with what the profile asks for by default."""
    if "SLURM_JOB_ID" in os.environ:
        return [(Finding("note", "no trial jobs: this is inside of a job already", "--submit on a login node"), 0)]
    account = [f"--account={site.accounts[0]}"] if site.needs_account and site.accounts else []
    memory = max(first_number(profile["default-resources"].get("mem_mb")) or 0, FLOOR_MB)
    options = ["--job-name=finevar_doctor", "--ntasks=1", "--time=5", f"--mem={memory}", *account]
    usable = [each for each in site.partitions if site.may_use(each)]
    results = Path("results").resolve()
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=results) as folder, ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda each: try_partition(each, options, Path(folder), here), usable))


def try_partition(partition: Partition, options: list[str], folder: Path, here: Answer) -> tuple[Finding, float]:
    """Run a job that writes a file; return what it found, and after how many seconds its file is seen here."""
    path = folder / f"{partition.name}.json"
    place = [f"--partition={partition.name}", f"--immediate={QUEUE_SECONDS}", *["--gpus=1"] * bool(partition.gpus)]
    answer = ask("srun", *options, *place, *probe_command(str(path)), seconds=QUEUE_SECONDS + IMPORT_SECONDS)
    ended = time.monotonic()
    while answer.ok and path not in folder.iterdir():  # a listing asks a network file system again
        if time.monotonic() - ended > SIGHT_SECONDS:
            found = f"trial job in {partition.name}: its file is not seen here after {SIGHT_SECONDS} s"
            return Finding("problem", found, SHARED), 0
        time.sleep(0.1)
    seen_after = time.monotonic() - ended
    return judge_trial(partition, answer, read_probe(here), seen_after), seen_after


def judge_trial(partition: Partition, answer: Answer, login: dict[str, str] | None, seen_after: float) -> Finding:
    """Find what a partition's node is like, and whether it has the same Python as the login node."""
    job, seen = f"trial job in {partition.name}", read_probe(answer)
    if "nodes are busy" in answer.error:
        return Finding("note", f"{job}: no node was free within {QUEUE_SECONDS} s", "try again at a quieter time")
    if seen is None:
        return Finding("problem", f"{job}: {answer.reason}", f"see to that; {SHARED}")
    found = f"{job}: node {seen['node']}, {seen['processor']}, {bfloat16(seen)}, file seen after {seen_after:.1f} s"
    if login and (seen["python"], seen["torch"]) != (login["python"], login["torch"]):
        return Finding("problem", f"{found}, Python {seen['python']} with torch {seen['torch']}", SHARED)
    blind = partition.gpus and not seen["gpu"]
    remedy = f"if the node is sound, install a CUDA build of torch ({seen['torch']}); until then, leave `gpu` out"
    return judge(not blind, f"{found}, {'but torch sees no GPU' if blind else 'same Python and torch'}", remedy)


def profile_lines(site: Site, profile: dict[str, Any], latency: float) -> dict[str, Any]:
    """Return the keys of the profile that this site decides, each in full, as it replaces the one that is there."""
    cpu, gpu = (slurm.choose_partition(site, **needs(profile), gpu=gpu) for gpu in (False, True))
    default = {"slurm_account": quoted(site.accounts[0])} if site.needs_account and site.accounts else {}
    default |= {"slurm_partition": quoted(cpu.name)} if cpu else {}
    status_command = slurm.choose_status_command(site, first_check=profile["slurm-init-seconds-before-status-checks"])
    lines = {
        "default-resources": profile["default-resources"] | default,
        "slurm-status-command": status_command or "squeue",
        "latency-wait": max(profile["latency-wait"], round(10 + 3 * latency)),
    }
    if gpu:
        rules, wanted = profile["set-resources"], {"slurm_partition": quoted(gpu.name)}
        lines["set-resources"] = rules | {rule: rules.get(rule, {}) | wanted for rule in GPU_RULES}
    if is_limited(site, profile):
        lines["jobs"] = site.max_jobs
    if any(partition.preemption == "REQUEUE" for partition in site.partitions):
        lines["slurm-requeue"] = True
    return lines


def quoted(name: str) -> str:
    """Quote a name that Snakemake, which takes these values for expressions, would find in Python: all, max."""
    return repr(name) if hasattr(builtins, name) else name


if __name__ == "__main__":
    sys.exit(main())
