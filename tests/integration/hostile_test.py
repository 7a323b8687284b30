"""Agents that misbehave, as a person sees it: each ends in a recorded, sealed failure of its own class; the rest goes on."""
import glob
import os
import signal
import socket
import time

from frames import frame, hello
from project import Project, Tap

tap = Tap()
AGENTS = {
    "good": ("", "import json,sys\njson.dump(json.load(sys.stdin), sys.stdout)\n"),
    "fails": ("failed", "import sys\nsys.exit('told why')\n"),
    "crashes": ("crash", "import os\nos.abort()\n"),
    "hangs": ("timeout", "import time\ntime.sleep(600)\n"),
    "floods": ("output", "import sys\nwhile True:\n    sys.stdout.write('x' * 65536)\n"),
    "rubbish": ("output", "print('{\"a\": ')\n"),
    "twice": ("output", "print('{\"a\": 1}{\"b\": 2}')\n"),
    "silent": ("output", ""),
    "again": ("retry", "import sys\nsys.exit(75)\n"),
    "forks": (None, "import os\nfor _ in range(100000):\n    try:\n        os.fork()\n    except OSError:\n        pass\n"),
    "eats": ("memory", "x = []\nwhile True:\n    x.append(bytearray(1 << 20))\n"),
    "calls": ("", "import json, socket, sys\njson.load(sys.stdin)\ntry:\n    socket.create_connection(('127.0.0.1', 22), 1)\n"
                  "    r = 'reached'\nexcept OSError:\n    r = 'refused'\njson.dump({'net': r}, sys.stdout)\n"),
    "looks": ("", "import json, os, sys\njson.load(sys.stdin)\n"
                  "seen = [p for p in ('/etc/shadow', '/root', '/home', '/dev/nsm', '/dev/vsock', '/proc/1/environ', '/var/lib')\n"
                  "        if os.path.exists(p) and os.access(p, os.R_OK) and (not os.path.isdir(p) or os.listdir(p))]\n"
                  "json.dump({'seen': seen, 'pids': sum(e.isdigit() for e in os.listdir('/proc')) if os.path.isdir('/proc') else 0}, sys.stdout)\n"),
}


def project_text():
    lines = ["project: hostile", "agents:"]
    lines += [f"  {name}: {{run: python3 main.py, memory: 64M}}" for name in AGENTS]
    lines += ["workflows:"] + [f"  w-{name}: [{{{name}: {{retry: 1, timeout: 3s}}}}]" for name in AGENTS if name != "good"]
    lines += ["  w-good: [good]"]
    return "\n".join(lines) + "\n"


@tap.case
def every_misdeed_is_a_failure_of_its_class():
    with Project("hello", project_text()) as p:
        for name, (_, source) in AGENTS.items():
            p.write(f"agents/{name}/main.py", source)
        p.run("up", check=0)
        wrong = []
        for name, (outcome, _) in AGENTS.items():
            result = p.run("run", f"w-{name}", "--set", "a=1", "--timeout", "40s")
            if outcome == "" and result.returncode != 0 or outcome and (result.returncode != 1 or f": {outcome}." not in result.stderr):
                wrong.append((name, outcome, result.returncode, result.stderr[-300:]))
            if outcome is None and result.returncode not in (0, 1):
                wrong.append((name, "ends", result.returncode, result.stderr[-300:]))
            if name == "calls" and '"refused"' not in result.stdout:
                wrong.append((name, result.stdout))
            if name == "looks" and '"seen": []' not in result.stdout:
                wrong.append((name, result.stdout))
            if name == "fails" and "told why" not in result.stderr:
                wrong.append((name, "its log", result.stderr))
            p.run("run", "w-good", "--set", "a=1", check=0)
        assert not wrong, wrong


@tap.case
def a_broker_that_does_not_answer_makes_runs_wait():
    with Project("hello") as p:
        p.run("up", check=0)
        broker = p.pids()["bulla-kms"]
        os.kill(broker, signal.SIGSTOP)
        try:
            waiting = p.start("run", "hello", "--set", "name=Ada", "--timeout", "30s")
            until, asking = time.monotonic() + 22, []
            while p.json("status")[0]["broker"] and time.monotonic() < until:  # it is asked for more all the time
                asking.append(p.start("start", "hello", "--set", "name=Bob"))
                time.sleep(1)
            assert not p.json("status")[0]["broker"], "a broker that says nothing is connected"
            _, said = waiting.communicate(timeout=40)
            assert waiting.returncode in (75, 124) and "lost" in said or "nothing was started" in said, (waiting.returncode, said)
            for program in asking:
                program.communicate(timeout=40)
        finally:
            os.kill(broker, signal.SIGCONT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and any(r["state"] == "open" for r in p.json("ls")):
            time.sleep(0.3)
        assert all(r["state"] == "done" for r in p.json("ls")), p.json("ls")
        p.run("run", "hello", "--set", "name=Ada", check=0)


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@tap.case
def clients_that_never_read_take_no_memory():
    get, ls = 18, 19
    with Project("hello", "project: echo\nagents:\n  same: jq .\nworkflows:\n  echo: [same]\n") as p:
        p.run("up", check=0)
        p.write("input.json", '"' + "x" * 400000 + '"')
        p.run("run", "echo", "--input", "input.json", check=0)
        path = glob.glob(p.env["XDG_RUNTIME_DIR"] + "/**/bullad.sock", recursive=True)[0]
        with socket.socket(socket.AF_UNIX) as s:  # LIST: its first field of 16 bytes is the run's id
            s.connect(path)
            s.sendall(hello() + frame(ls))
            time.sleep(0.3)
            answer = s.recv(65536)
        run = answer[answer.index(b"\x0a\x10", 50):][:18]
        bullad = p.pids()["bullad"]
        before, many = resident(bullad), []
        for _ in range(60):  # 16 results of half a megabyte to each, who sends now and then and takes nothing
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            s.sendall(hello() + b"".join(frame(get, run, stream=n) for n in range(1, 17)))
            many.append(s)
        time.sleep(2)
        assert p.pids()["bullad"] == bullad, "bullad did not survive it"  # clients end in the middle of its turns
        grown = resident(bullad) - before
        assert grown < 100 << 20, f"bullad grew by {grown >> 20} MiB"
        p.run("run", "echo", "--input", "input.json", check=0)
        for s in many:
            s.close()


tap.main()
