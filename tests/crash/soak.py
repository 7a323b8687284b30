"""soak.py MINUTES [RUNS-PER-SECOND]: the programs under a low load. After a warm-up of a fifth of the time, descriptors stay
as they are and memory stays flat. Prints TAP and, per program, what it was and what it became."""
import json
import os
import signal
import subprocess
import sys
import time

from recovery import TOOL, open_project

SLACK_KB = 512     # allocator, page cache of SQLite, stacks touched for the first time
GROWTH = 1.05
WORDS = []         # of the first run that failed
DESCRIPTORS = 3    # the tool's own connections


def measure(project):
    """{program: (descriptors, anonymous KiB)}"""
    found = {}
    for name, pid in project.pids().items():
        if name == "bulla":
            continue
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                memory = sum(int(line.split()[1]) for line in file if line.startswith(("Anonymous:", "Swap:")))
            found[name] = (len(os.listdir(f"/proc/{pid}/fd")), memory)
        except OSError:
            continue
    return found


def one_run(project):
    result = subprocess.run([project.bulla, "run", "w", "--input", "-"], cwd=project.dir, env=project.env, input='"x"', text=True,
                            capture_output=True, timeout=120)
    if result.returncode == 0:
        return True
    if not WORDS:
        logs = "".join(project.log(name) for name in ("platform/log", "broker/log", "host/log", "platform/enclaves.log"))
        WORDS.append(f"{time.strftime('%H:%M:%S')}: exit {result.returncode}: {result.stdout}{result.stderr}{logs}")
        print("".join(f"# {line}\n" for line in WORDS[0].splitlines()), end="", flush=True)
    return False


def soak(minutes, rate):
    """One program starts runs at this rate; a `bulla run` of its own once a minute, whose result is opened."""
    samples, failed, began = [], 0, time.monotonic()
    end = began + 60 * minutes
    with open_project() as project:
        project.run("up", check=0)
        runs = int(60 * minutes * rate) + 1
        tool = subprocess.Popen([TOOL, project.dir, "w", str(runs), str(int(1000 / rate))], env=project.env, text=True,
                                stdout=subprocess.PIPE)
        next_run = began
        while time.monotonic() < end and tool.poll() is None:
            samples.append(measure(project))
            if time.monotonic() >= next_run:
                failed += 0 if one_run(project) else 1
                next_run += 60
            time.sleep(60 * minutes / 100)
        if tool.poll() is None:
            tool.terminate()  # it had pauses and more: what it did counts
            failed += 1 if tool.wait() != -signal.SIGTERM else 0
        else:
            out = tool.stdout.read()
            failed += json.loads(out)["failed"] + json.loads(out)["lost"] if out.startswith("{") else 1
        samples.append(measure(project))
        done = sum(row.get("runs_done", 0) for row in project.json("status") if isinstance(row, dict))
    return samples, done or runs, failed


def judge(samples):
    warm, late = samples[len(samples) // 5:len(samples) * 2 // 5], samples[len(samples) * 4 // 5:]
    bad = []
    for name in sorted(samples[-1]):
        rows = [[s[name] for s in part if name in s] for part in (warm, late)]
        if not all(rows):
            bad.append(f"{name} was started anew")
            continue
        (fds, memory), (late_fds, late_memory) = [(max(r[0] for r in part), max(r[1] for r in part)) for part in rows]
        print(f"# {name}: descriptors {fds} -> {late_fds}, anonymous memory {memory} -> {late_memory} KiB")
        if late_fds > fds + DESCRIPTORS:
            bad.append(f"{name} has {late_fds - fds} descriptors more")
        if late_memory > memory * GROWTH + SLACK_KB:
            bad.append(f"{name} has {late_memory - memory} KiB more")
    return bad


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    samples, runs, failed = soak(minutes, rate)
    bad = judge(samples)
    print(f"1..2\n{'not ok' if failed else 'ok'} 1 - {runs} runs, {failed} failed")
    print(f"{'not ok' if bad else 'ok'} 2 - descriptors and memory are flat over {minutes:g} minutes {'# ' + ', '.join(bad) if bad else ''}")
    sys.exit(1 if bad or failed else 0)


if __name__ == "__main__":
    main()
