#!/usr/bin/env bash
# Run Snakemake in this directory, after clearing what a killed one left behind.
# usage: workflow/run-alone.sh [OPTION OF SNAKEMAKE ...]       with the python that comes first in PATH
#
# A Snakemake that is killed (kill -9, out of memory, power cut) leaves two things: its lock on the directory, which
# stops the next one, and perhaps jobs that run on with nobody to wait for them. Both are cleared here, but only once it
# is certain that no Snakemake lives in the directory, because unlocking beneath a live one lets two write the same files.
#
# 1. flock(1) on a file of our own keeps a second `make study` out. The kernel drops it with the last process that
#    holds it, whatever way that ends, so it cannot go stale. Snakemake inherits it by `exec`; its jobs do not, because
#    Python closes inherited files in its children.
# 2. A Snakemake that was started otherwise (`snakemake --cores 2`) holds no flock, so /proc is asked for one, too.
# 3. Jobs that still run now have lost their Snakemake. It has them marked as incomplete and will start them again, so
#    they are ended rather than left to write beside their successors.
# 4. Only then is a lock that is still there stale, and removed.
#
# /proc and flock see one machine. Where several share the directory (a cluster), start Snakemake from one of them.
set -euo pipefail

readonly GRACE_SECONDS=30 # for a job to save its state on SIGTERM

# List the processes that work in this directory and have an argument matching a pattern.
processes_here() {
    local pattern=$1 folder
    for folder in /proc/[0-9]*; do
        [[ $(readlink "$folder/cwd" 2>/dev/null) == "$PWD" ]] || continue
        if tr '\0\n' '\n ' 2>/dev/null <"$folder/cmdline" | grep -qE "$pattern"; then echo "${folder#/proc/}"; fi
    done
}

live_snakemakes() { processes_here '^([^ ]*/)?snakemake$'; }
orphaned_jobs() { processes_here '\.snakemake/scripts/'; }

end_orphans() {
    local orphans
    mapfile -t orphans < <(orphaned_jobs)
    ((${#orphans[@]})) || return 0
    echo "Ending what an interrupted run left running: ${orphans[*]}" >&2
    kill -TERM "${orphans[@]}" 2>/dev/null || true
    for ((waited = 0; waited < GRACE_SECONDS; waited++)); do
        [[ -n $(orphaned_jobs) ]] || return 0
        sleep 1
    done
    mapfile -t orphans < <(orphaned_jobs)
    kill -KILL "${orphans[@]}" 2>/dev/null || true
}

refuse() {
    echo "Another run is active in $PWD${1:+ (process number $1)}." >&2
    echo "Wait for it, or stop it (Ctrl-C, or 'kill' with that number), then call make again; it will go on from there." >&2
    exit 1
}

cd -P . # /proc names directories without symbolic links
mkdir -p .snakemake
exec 9>.snakemake/run-alone.lock
flock --nonblock 9 || refuse "$(live_snakemakes | paste -sd ' ')"
alive=$(live_snakemakes | paste -sd ' ')
[[ -z $alive ]] || refuse "$alive"
end_orphans
if compgen -G '.snakemake/locks/*' >/dev/null; then
    echo "Removing the lock of an interrupted run." >&2
    python -m snakemake "$@" --unlock
fi
exec python -m snakemake "$@"
