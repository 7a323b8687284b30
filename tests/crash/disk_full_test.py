"""The disk under the engine's state is full: spare segments are the reserve. Starts are refused with a clear error, runs
under way end, nothing is lost; with space again everything goes on by itself. Needs to mount a small tmpfs."""
import os
import signal
import subprocess
import sys
import time

from recovery import PROJECT, signal_enclaves
from project import Project, Tap

tap = Tap()
SMALL = "size=139m"  # the first segment (4 MiB), two spares (64 MiB each), the catalogue
LARGE = "size=420m"
BIG = '"' + "x" * 60000 + '"'


def mount(path, options):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True).returncode == 0


def start(project):
    """The run's name, or None and the error."""
    result = project.run("--json", "start", "w", "--input", "-", stdin=BIG)
    if result.returncode == 0:
        return result.stdout.split('"run":"')[1].split('"')[0], None
    return None, result.stdout + result.stderr


def wait_for_spares(project):
    folder = f"{project.state}/host/journal"
    for _ in range(300):
        if len([n for n in os.listdir(folder) if n.endswith(".seg")]) >= 3:
            return
        time.sleep(0.1)
    raise AssertionError(f"no spares: {os.listdir(folder)}")


def fill_up(project):
    """Starts runs whose enclaves are stopped, until starts are refused."""
    runs = []
    for _ in range(200):
        run, error = start(project)
        if run is None:
            assert "disk-full" in error, error
            return runs
        runs.append(run)
    raise AssertionError("the disk is never full")


def ended(project, run):
    result = project.run("--json", "wait", run, timeout=60)
    assert result.returncode == 0 and '"state":"done"' in result.stdout.replace(" ", ""), (run, result.stdout, result.stderr)


@tap.case
def a_full_disk_loses_nothing():
    with Project("hello", PROJECT) as p:
        for agent in "ab":
            p.write(f"agents/{agent}/note", "no code of its own\n")
        host = f"{p.state}/host"
        os.makedirs(host)
        assert mount(host, SMALL)
        try:
            p.run("up", check=0)
            wait_for_spares(p)
            signal_enclaves(p, signal.SIGSTOP)
            runs = fill_up(p)
            assert len(runs) > 10, runs
            signal_enclaves(p, signal.SIGCONT)
            for run in runs:
                ended(p, run)
            assert start(p)[0] is None, "a start is taken on a full disk"
            assert subprocess.run(["mount", "-o", f"remount,{LARGE}", host]).returncode == 0
            run = None
            for _ in range(50):
                run, error = start(p)
                if run is not None:
                    break
                time.sleep(0.2)
            assert run is not None, error
            ended(p, run)
            # what ended while the disk was full is known, now and after a crash
            for _ in range(2):
                for known in runs + [run]:
                    ended(p, known)
                p.run("verify", runs[0], check=4)
                os.kill(p.pids()["bullad"], signal.SIGKILL)
                time.sleep(1)
        finally:
            p.run("down")
            subprocess.run(["umount", "-l", host])


@tap.case
def nothing_starts_on_a_full_disk():
    with Project("hello", PROJECT) as p:
        for agent in "ab":
            p.write(f"agents/{agent}/note", "no code of its own\n")
        os.makedirs(p.state, mode=0o700)
        assert mount(p.state, "size=3m,mode=700")  # not even a first segment
        try:
            result = p.run("up", timeout=120)
            assert result.returncode == 75 and "disk-full" in result.stdout + result.stderr, result
            assert subprocess.run(["mount", "-o", f"remount,{LARGE}", p.state]).returncode == 0
            p.run("up", check=0)
            run, error = start(p)
            assert run is not None, error
            ended(p, run)
        finally:
            p.run("down")
            subprocess.run(["umount", "-l", p.state])


if os.geteuid() != 0:
    print("1..0 # SKIP only root mounts a small disk")
    sys.exit(77)
tap.main()
