"""A new epoch while runs of the one before go on: each run keeps its manifest and its agents to the end."""
import time

from project import Project, Tap

tap = Tap()
TEXT = "project: nap\nagents:\n  a: python3 main.py\n  b: python3 main.py\nworkflows:\n  nap: [a, b]\n"
AGENT = "import json, sys, time\nx = json.load(sys.stdin)\ntime.sleep({})\nx['by'] = x.get('by', '') + '{}'\njson.dump(x, sys.stdout)\n"


def agents(p, seconds, word):
    for name in "ab":
        p.write(f"agents/{name}/main.py", AGENT.format(seconds, word))


@tap.case
def runs_of_the_epoch_before_end_with_its_agents():
    with Project("hello", TEXT) as p:
        agents(p, 1.5, "old")
        p.run("up", check=0)
        p.run("start", "nap", "--set", "n=1", check=0)
        time.sleep(0.5)
        agents(p, 0, "new")
        said = p.run("up", check=0).stderr
        assert "runs of epoch 1 go on" in said, said
        enclaves = [name for name in p.pids() if name.startswith("bulla-enclave")]
        assert len(enclaves) == 4, enclaves
        new = p.run("run", "nap", "--set", "n=2", "--timeout", "30s", check=0)
        assert "newnew" in new.stdout, new.stdout
        until = time.monotonic() + 40
        while any(r["state"] == "open" for r in p.json("ls")) and time.monotonic() < until:
            time.sleep(0.3)
        rows = {r["epoch"]: r for r in p.json("ls")}
        assert rows[1]["state"] == "done" and rows[2]["state"] == "done", rows
        old = p.run("open", rows[1]["run"], check=0)
        assert "oldold" in old.stdout, old.stdout
        p.run("verify", rows[1]["run"], check=4)
        until = time.monotonic() + 40
        while len([name for name in p.pids() if name.startswith("bulla-enclave")]) > 2 and time.monotonic() < until:
            time.sleep(0.3)
        enclaves = [name for name in p.pids() if name.startswith("bulla-enclave")]
        assert len(enclaves) == 2, enclaves  # those of the old epoch left by themselves
        time.sleep(2)
        assert {name: p.pids().get(name) for name in enclaves} == {name: p.pids()[name] for name in enclaves}
        assert len([name for name in p.pids() if name.startswith("bulla-enclave")]) == 2  # and nobody started them again
        said = p.run("up", check=0).stderr  # nothing changed; nobody needs the old ones any more
        assert "error" not in said, said
        enclaves = [name for name in p.pids() if name.startswith("bulla-enclave")]
        assert len(enclaves) == 2, enclaves
        p.run("run", "nap", "--set", "n=3", "--timeout", "30s", check=0)


tap.main()
