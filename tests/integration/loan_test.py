"""The main job as a person types it: the loan example with each outcome, shown, opened, verified; the same after a crash."""
import json
import os
import random
import time

from project import Project, Tap

tap = Tap()


@tap.case
def each_application_gets_its_decision():
    with Project() as p:
        up = p.run("up", check=0)
        assert "3 enclaves ready" in up.stderr and "DEV ONLY" in up.stderr, up.stderr
        for name, decision in (("application", "approved"), ("refer", "refer"), ("declined", "declined")):
            result = p.run("run", "loan", "--input", name + ".json", check=0)
            assert json.loads(result.stdout)["decision"] == decision, result.stdout
            assert "DEV ONLY" in result.stderr, result.stderr
        failed = p.run("run", "loan", "--input", "incomplete.json", check=1)
        assert "failed" in failed.stderr and failed.stdout == "", failed
        rows = p.json("ls")
        assert sorted(row["state"] for row in rows) == ["done", "done", "done", "failed"], rows
        assert len(p.json("ls", "--state", "failed")) == 1


@tap.case
def a_run_can_be_shown_opened_bundled_and_verified():
    with Project() as p:
        p.run("up", check=0)
        p.run("run", "loan", "--input", "application.json", check=0)
        shown = p.run("show", check=0)
        assert "intake" in shown.stdout and "low" in shown.stdout and "could read" in shown.stdout, shown.stdout
        assert json.loads(p.run("open", check=0).stdout)["limit"] == 7500
        p.run("bundle", "-o", "b", check=0)
        trust = p.run("trust", check=0).stdout
        p.write("t", trust)
        verdict = p.run("verify", "b", "--trust", "t", check=4)
        assert verdict.stdout.startswith("DEV ONLY"), verdict.stdout
        assert p.run("verify", "b", "--trust", "t", "--accept", "dev", check=0)
        assert p.run("verify", "b", check=4).stdout.startswith("UNKNOWN SIGNER")
        assert p.run("verify", check=4).stdout.startswith("DEV ONLY")
        verdict, = p.json("verify", "b", "--trust", "t", check=4)
        assert "that anything was confidential" in verdict["not_proved"], verdict
        assert "that the hardware is unbroken" not in verdict["not_proved"], verdict
        assert "freshness strict" in p.run("verify", "b", check=4).stdout
        p.write("empty", "")
        assert "freshness" not in p.run("verify", "empty", check=1).stdout  # nothing said so
        piped = p.run("bundle", "-o", "-", check=0, binary=True)
        assert piped.stderr == b"", piped.stderr
        with open(os.path.join(p.dir, "piped"), "wb") as file:
            file.write(piped.stdout)
        p.run("verify", "piped", "--trust", "t", "--accept", "dev", check=0)


def read_bytes(project, name):
    with open(os.path.join(project.dir, name), "rb") as file:
        return file.read()


@tap.case
def a_changed_bundle_is_refused():
    with Project() as p:
        p.run("up", check=0)
        p.run("run", "loan", "--input", "application.json", check=0)
        p.run("bundle", "-o", "b", check=0)
        p.write("t", p.run("trust", check=0).stdout)
        good = read_bytes(p, "b")
        rng = random.Random(7)
        for _ in range(40):
            bad = bytearray(good)
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
            with open(os.path.join(p.dir, "bad"), "wb") as file:
                file.write(bad)
            assert p.run("verify", "bad", "--trust", "t", check=1).stdout.startswith("REFUSED")
        for size in (0, 1, 100, len(good) // 2, len(good) - 1):
            with open(os.path.join(p.dir, "bad"), "wb") as file:
                file.write(good[:size])
            p.run("verify", "bad", "--trust", "t", check=1)


@tap.case
def down_and_up_again_loses_nothing():
    with Project() as p:
        p.run("up", check=0)
        p.run("run", "loan", "--input", "application.json", check=0)
        p.run("down", check=0)
        assert not p.pids(), p.pids()
        p.run("up", check=0)
        assert len(p.json("ls", "--state", "done")) == 1
        p.run("verify", check=4)
        p.run("run", "loan", "--input", "refer.json", check=0)


@tap.case
def every_program_may_be_killed_while_runs_go_on():
    with Project() as p:
        p.run("up", check=0)
        names = [n for n in p.pids() if n != "bulla-platform"]
        assert len(names) == 5, names
        for name in names:
            running = [p.start("run", "loan", "--input", "application.json", "--timeout", "60s") for _ in range(3)]
            time.sleep(0.15)
            p.kill(name)
            for run in running:
                run.communicate(timeout=80)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and any(row["state"] == "open" for row in p.json("ls")):
            time.sleep(0.2)
        rows = p.json("ls")
        assert rows and all(row["state"] == "done" for row in rows), rows
        for row in rows:
            p.run("verify", row["run"], check=4)


@tap.case
def the_same_id_is_the_same_run():
    with Project() as p:
        p.run("up", check=0)
        first = p.run("run", "loan", "--input", "application.json", "--id", "case-1", check=0)
        again = p.run("run", "loan", "--input", "application.json", "--id", "case-1", check=0)
        assert first.stdout == again.stdout
        assert len(p.json("ls")) == 1


@tap.case
def a_person_is_told_what_is_wrong():
    with Project() as p:
        assert "bulla up" in p.run("run", "loan", "--input", "application.json", check=3).stderr
        p.run("up", check=0)
        cases = [
            (("run", "lone", "--input", "application.json"), 3, "loan"),
            (("run", "loan", "--input", "nosuch.json"), 3, "no such"),
            (("run", "loan", "--input", "-"), 2, "input is empty"),
            (("show", "zzzzzzzz"), 3, "no such run"),
            (("verify", "bulla.yaml"), 1, ""),
            (("open", "nothing"), 3, "no such run"),
        ]
        p.run("run", "loan", "--input", "application.json", check=0)
        cases.append((("logs", p.json("ls")[0]["run"], "risc"), 3, "has no step `risc`\nnext: intake, risk, decide"))
        for args, code, says in cases:
            result = p.run(*args, check=code)
            assert says in result.stderr, (args, result.stderr)
        bad = p.run("run", "loan", "--input", "-", stdin='{"a": 1,\n "a": 2}', check=2)
        assert "twice" in bad.stderr and "-:2:" in bad.stderr, bad.stderr
        names = os.path.join(p.env["XDG_CONFIG_HOME"], "bulla", p.name + ".names")
        with open(names, "r+b") as file:
            kept = file.read()
            file.truncate(3)
        for command in ("ls", "up"):
            damaged = p.run(command).stderr  # `bulla up` makes no other names: those of the runs would be lost
            assert "error[corrupt]" in damaged and "next: restore it from a copy" in damaged, damaged
        with open(names, "wb") as file:
            file.write(kept)
        p.write("bulla.yaml", p.read("bulla.yaml").replace("- intake", "- intoke"))
        assert "did you mean `intake`?" in p.run("up", check=2).stderr


tap.main()
