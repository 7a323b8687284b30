"""Recovery after kill -9 with many runs under way: recovery.py RUNS prints one JSON line per program killed (bench);
recovery_test.py is the same with few runs. Enclaves are stopped while the runs are started, so that all are under way."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from project import BUILD, Project  # noqa: E402

PROJECT = """project: crash
agents:
  a: {stream: cat, at_once: 16}
  b: {stream: cat, at_once: 16}
workflows:
  w: [a, b]
"""
TOOL = os.path.abspath(os.path.join(BUILD, "tests/crash/recover"))


def signal_enclaves(project, number):
    for name, pid in project.pids().items():
        if name.startswith("bulla-enclave"):
            os.kill(pid, number)


def recover(project, victims, runs):
    """Milliseconds from the kill until ready and until the first, half of and all runs have ended; counts."""
    signal_enclaves(project, signal.SIGSTOP)
    began = time.monotonic()
    tool = subprocess.Popen([TOOL, project.dir, "w", str(runs)], env=project.env, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    try:
        line = tool.stdout.readline().strip()
        assert line == "STARTED", (line, tool.stderr.read() if tool.poll() is not None else "")
        started = time.monotonic() - began
        pids = project.pids()
        killed = time.monotonic_ns() // 1000
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        signal_enclaves(project, signal.SIGCONT)
        out, err = tool.communicate(timeout=300)
        assert out.startswith("{"), err
    finally:
        tool.kill()
        signal_enclaves(project, signal.SIGCONT)
    row = json.loads(out)
    for point in ("ready", "first", "half", "all"):
        row[point + "_ms"] = round((row.pop(point) - killed) / 1000, 1)
    row.update(killed=" ".join(victims), runs=runs, start_s=round(started, 2))
    return row


def open_project():
    project = Project("hello", PROJECT)
    for agent in "ab":
        project.write(f"agents/{agent}/note", "no code of its own\n")
    return project


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    with open_project() as project:
        project.run("up", check=0)
        for victims in (["bullad"], ["bulla-kms"], ["bullad", "bulla-kms"]):
            print(json.dumps(recover(project, victims, runs)), flush=True)


if __name__ == "__main__":
    main()
