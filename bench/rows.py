"""rows.py BUILD [ROW...]: figures of whole, running projects: real programs, real sockets, the disk of TMPDIR. One JSON line
per figure on stdout; each holds its target (`goal`) where the issue or ENGINE.md names one. BUILD is made with -Dbench=true.
Rows: up runs each distant release memory recovery (default: all); serve: levels that stdin asks for (bench/compare); hops: the path
of one run through the processes, by perf's tracepoints (root). BULLA_BENCH_SECS: seconds per level (3)."""
import collections
import concurrent.futures
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tests/integration"))
BUILD = os.path.abspath(sys.argv[1])
os.environ["BULLA_BUILD"] = BUILD

from kms_client import Kms  # noqa: E402
from project import Project  # noqa: E402

SECS = float(os.environ.get("BULLA_BENCH_SECS", "3"))
TICK = os.sysconf("SC_CLK_TCK")
# CPU per workflow at 64 in flight, ENGINE.md section 0; the enclaves and agents are two each
BUDGET = {"bullad": 28, "bulla-kms": 24, "bulla-enclave": 60, "agent": 4, "all": 120}


def say(row, **figures):
    print(json.dumps({"row": row, **figures}), flush=True)


def stat(pid):
    """Name, parent, CPU seconds."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        text = file.read()
    name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
    return name, int(rest[1]), sum(int(x) for x in rest[11:13]) / TICK


def cpu(pid):
    """Nanoseconds on a core of all threads; ticks where the kernel does not say."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("Pss:"))


def below(root, measure):
    """{pid: (program, figure)} of the processes below root; what runs in sandboxes is `agent`."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                table[int(entry)] = stat(entry)
            except (OSError, ValueError):
                pass
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        todo += [p for p, (_, parent, _) in table.items() if parent == pid]
        name = table[pid][0] if pid in table else ""
        if table.get(pid, ("", 0, 0))[1] == root and not name.startswith("bulla"):
            name = "bulla-enclave"  # it runs from a descriptor: the kernel's name for it says nothing
        try:
            found[pid] = name if name.startswith("bulla") else "agent", measure(pid)
        except OSError:
            pass
    return found


def by_role(found):
    total = {}
    for role, figure in found.values():
        total[role] = total.get(role, 0) + figure
    return total


def machine():
    """Seconds of all cores, idle, stolen."""
    with open("/proc/stat", encoding="ascii") as file:
        v = [int(x) / TICK for x in file.readline().split()[1:]]
    return sum(v[:8]), v[3] + v[4], v[7]


class Bench(Project):
    """The project of bench/project, up."""

    def __init__(self):
        with open(os.path.join(HERE, "project/bulla.yaml"), encoding="utf-8") as file:
            super().__init__("hello", file.read())
        for name in "ab":
            os.makedirs(os.path.join(self.dir, "agents", name))
            shutil.copy(os.path.join(BUILD, "bench/ab"), os.path.join(self.dir, "agents", name, "ab"))

    def up(self):
        begin = time.monotonic()
        self.run("up", check=0)
        took = time.monotonic() - begin
        self.root = self.pids()["bulla-platform"]
        return took

    def sockets(self):
        return os.path.join(self.env["XDG_RUNTIME_DIR"], "bulla", self.name)

    def load(self, in_flight, secs=None, size=1024, workflow="ab"):
        """One closed loop; figures of bulla-load, and the CPU of each of our programs while it was measured."""
        command = [os.path.join(BUILD, "bench/bulla-load"), self.dir, workflow, str(in_flight), str(secs or SECS), str(size)]
        before = after = result = None
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True) as driver:
            for line in driver.stdout:
                if line.startswith("BEGIN"):
                    before = below(self.root, cpu), machine(), time.monotonic(), cpu(driver.pid)
                elif line.startswith("END"):
                    after = below(self.root, cpu), machine(), time.monotonic(), cpu(driver.pid)
                elif line.startswith("{"):
                    result = json.loads(line)
        if result is None or after is None or driver.returncode != 0 or not result["done"]:
            raise RuntimeError(f"bulla-load {in_flight} {size} failed with {driver.returncode}")
        done = result["done"] * (after[2] - before[2]) / result["seconds"]
        used = {}
        for pid, (role, seconds) in after[0].items():  # a process that came in between counts from zero
            used[role] = used.get(role, 0) + seconds - before[0].get(pid, (role, 0))[1]
        all_s, idle, stolen = (b - a for a, b in zip(before[1], after[1]))
        ours = sum(used.values()) + after[3] - before[3]
        return {"in_flight": in_flight, "bytes": size, **result,
                "cpu_us": {"all": round(1e6 * sum(used.values()) / done, 1),
                           **{role: round(1e6 * s / done, 1) for role, s in sorted(used.items())}},
                "driver_cpu_us": round(1e6 * (after[3] - before[3]) / done, 1),
                "others_pct": round(max(0, 100 * (all_s - idle - ours) / all_s), 1), "steal_pct": round(100 * stolen / all_s, 2)}


def row_up():
    first, again, ready = [], [], []
    for _ in range(3):
        with Bench() as p:
            first.append(p.up())
            p.run("down", check=0)
            begin = time.monotonic()
            p.run("up", check=0)
            again.append(time.monotonic() - begin)
            begin = time.monotonic()
            p.run("run", "ab", "--input", "-", stdin='"x"', check=0)
            ready.append(time.monotonic() - begin)
    say("up", first_s=round(statistics.median(first), 3), again_s=round(statistics.median(again), 3),
        one_run_s=round(statistics.median(ready), 3), goal={"first_s": 0.8})


def row_runs():
    for size in (1024, 65536):
        with Bench() as p:
            p.up()
            for in_flight in (1, 16, 64):
                goal = {1: {"p50_ms": 1}, 16: {}, 64: {"wf_per_s": 6000, "p99_ms": 10, "cpu_us": BUDGET}}[in_flight]
                say("runs", **p.load(in_flight, size=size), goal=goal if size == 1024 else {})


def row_each():
    with Bench() as p:
        p.up()
        for in_flight in (1, 64):
            say("each", **p.load(in_flight, workflow="each"), goal={"cpu_us": {"all": 160}} if in_flight == 64 else {})


def row_distant():
    """1 ms more each way between the host with its enclaves and the broker: relays take the places of the broker's sockets,
    then the engine connects anew."""
    with Bench() as p:
        p.up()
        relays = []
        try:
            for name in ("broker.sock", "broker-tls.sock"):
                path = os.path.join(p.sockets(), name)
                os.rename(path, path + ".near")
                relay = subprocess.Popen([os.path.join(BUILD, "bench/bulla-relay"), path, path + ".near", "1000"],
                                         stdout=subprocess.PIPE)
                relays.append(relay)
                relay.stdout.readline()
            p.kill("bullad")
            time.sleep(1)
            p.run("run", "ab", "--input", "-", stdin='"x"', check=0)
            for in_flight in (1, 64):
                say("distant", delay_ms=1, **p.load(in_flight))
        finally:
            for relay in relays:
                relay.kill()
                relay.wait()


def release_rate(kms, documents):
    """Decrypts over four connections; the broker's CPU for each."""
    pid = next(pid for name, pid in kms.project.pids().items() if name == "bulla-kms")
    local = threading.local()  # a connection per thread

    def one(document):
        if not hasattr(local, "kms"):
            local.kms = kms.twin()
        return "CiphertextForRecipient" in local.kms.decrypt(kms.blob, document)

    before, begin = cpu(pid), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, documents)), "a release was refused"
    took = time.monotonic() - begin
    return {"per_s": round(len(documents) / took, 1), "broker_cpu_ms": round(1000 * (cpu(pid) - before) / len(documents), 3)}


def timed(call, documents):
    times = []
    for document in documents:
        begin = time.monotonic()
        assert "CiphertextForRecipient" in call(document), "a release was refused"
        times.append(1000 * (time.monotonic() - begin))
    times.sort()
    return {"p50_ms": round(times[len(times) // 2], 3), "p99_ms": round(times[len(times) * 99 // 100], 3)}


def row_release():
    """Attested key release by the AWS wire form, python's side included; documents are made before."""
    with Project("hello") as p:
        kms = Kms(p)
        documents = [kms.doc() for _ in range(800)]
        kms.blob = kms.generate(documents.pop())["CiphertextBlob"]
        kms.project = p
        generate = timed(kms.generate, documents[:200])
        decrypt = timed(lambda document: kms.decrypt(kms.blob, document), documents[200:400])
        say("release", generate=generate, decrypt=decrypt, **release_rate(kms, documents[400:]), goal={"p50_ms": 5})
        kms.close()


def row_memory():
    with Bench() as p:
        p.up()
        time.sleep(1)
        done = 0
        for upto in (0, 10000, 50000):
            while done < upto:
                done += p.load(64, secs=max(0.5, min(8, (upto - done) / 8000 - 1.5)))["done"]
            sizes = by_role(below(p.root, pss))
            say("memory", runs=done, pss_mb={"all": round(sum(sizes.values()), 1),
                                             **{role: round(mb, 1) for role, mb in sorted(sizes.items())}},
                goal={"pss_mb": {"all": 32, "bullad": 8, "bulla-kms": 6, "bulla-enclave": 10, "bulla-platform": 2}})


def row_recovery():
    """kill -9 with that many runs under way (tests/crash/recovery.py)."""
    runs = os.environ.get("BULLA_BENCH_RECOVER", "10000")
    with subprocess.Popen([sys.executable, os.path.join(HERE, "../tests/crash/recovery.py"), runs], stdout=subprocess.PIPE, text=True) as tool:
        for line in tool.stdout:
            say("recovery", **json.loads(line), goal={"ready_ms": 1000})
    if tool.returncode != 0:
        raise RuntimeError(f"recovery.py failed with {tool.returncode}")


TRACED = {"sys_enter_sendto": "send", "sys_enter_recvfrom": "receive", "sys_enter_pwritev2": "sync", "sys_exit_pwritev2": "synced"}
TRACE_LINE = re.compile(r"\s*.+?\s+(\d+)\s+(\d+\.\d+):\s+(?:\w+:)?(\w+):")


def trace(pids):
    """[(µs, pid, what)] of half a second: messages and syncs of these processes."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "perf.data")
        events = [word for name in TRACED for word in ("-e", "syscalls:" + name)]
        subprocess.run(["perf", "record", "-q", "-a", *events, "-o", file, "sleep", "0.5"], check=True, stderr=subprocess.DEVNULL)
        text = subprocess.run(["perf", "script", "-i", file, "-F", "comm,tid,time,event"], check=True, capture_output=True, text=True).stdout
    found = (TRACE_LINE.match(line) for line in text.splitlines())
    return [(float(m[2]) * 1e6, int(m[1]), TRACED[m[3]]) for m in found if m and int(m[1]) in pids and m[3] in TRACED]


def numbered(events):
    """{(pid, what, the how-manyth): µs since the first}: two processes at work may change their order, none its own."""
    seen = collections.Counter()
    run = {}
    for at, pid, what in events:
        run[pid, what, seen[pid, what]] = at - events[0][0]
        seen[pid, what] += 1
    return run


def row_hops():
    """Medians over the runs of the commonest shape, counted from the client's message; tracing adds some 5 %."""
    with Bench() as p:
        p.up()
        time.sleep(2)  # the programs share a core by then, if this machine lets them
        names = {pid: role for pid, (role, _) in below(p.root, cpu).items() if role.startswith("bulla")}
        load = threading.Thread(target=p.load, args=(1, 1.5))
        load.start()
        time.sleep(1.7)
        driver = next(pid for pid, (name, _) in below(os.getpid(), cpu).items() if name == "bulla-load")
        events = trace({**names, driver: "client"})
        load.join()
    names[driver] = "client"
    starts = [i for i, event in enumerate(events) if event[1:] == (driver, "send")]
    runs = [numbered(events[a:b]) for a, b in zip(starts, starts[1:])]
    shape = collections.Counter(frozenset(run) for run in runs).most_common(1)[0][0]
    alike = [run for run in runs if frozenset(run) == shape]
    path = sorted((statistics.median(run[event] for run in alike), names[event[0]], event[1]) for event in shape)
    say("hops", runs=len(alike), of=len(runs), path=[[round(at), who, what] for at, who, what in path])


def row_serve():
    """A line on stdin, IN-FLIGHT SECONDS BYTES WORKFLOW, is one level; the project stays up between them."""
    with Bench() as p:
        p.up()
        for line in sys.stdin:
            in_flight, secs, size, workflow = line.split()
            say("serve", **p.load(int(in_flight), float(secs), int(size), workflow))


ROWS = {"up": row_up, "runs": row_runs, "each": row_each, "distant": row_distant, "release": row_release,
        "memory": row_memory, "recovery": row_recovery, "serve": row_serve, "hops": row_hops}


def main():
    failed = 0
    for name in sys.argv[2:] or (row for row in ROWS if row not in ("serve", "hops")):
        print(f"bench: {name}", file=sys.stderr, flush=True)
        try:
            ROWS[name]()
        except (AssertionError, OSError, RuntimeError, StopIteration, subprocess.TimeoutExpired) as error:
            failed += 1
            say(name, not_measured=str(error)[:300])
    sys.exit(1 if failed else 0)


main()
