"""What a new user runs into: wrong order, a busy port, a lost key, an edited project. Each answer says what to do."""
import os
import socket
import time

from project import Project, Tap

tap = Tap()

TWO = """project: two
agents:
  a: {run: sh -c 'cat; echo a note >&2', memory: 64M}
  slow: {run: sh -c 'sleep 3; cat'}
workflows:
  w: [a]
  z: [slow]
"""


def project(text=TWO):
    p = Project("hello", text)
    for agent in ("a", "slow"):
        p.write(f"agents/{agent}/note", "no code of its own\n")
    return p


@tap.case
def before_and_after_up():
    with project() as p:
        for command in ("status", "run w", "ls", "open", "wait"):
            assert "bulla up" in p.run(*command.split()).stderr, command
        p.run("status", check=75)
        row, = p.json("status", check=75)
        assert row["id"] == "engine-unreachable" and row["next"] == "bulla up", row
        assert "nothing of `two` runs here" in p.run("down", check=0).stderr
        yaml = p.read("bulla.yaml")
        p.write("bulla.yaml", "")
        assert "the file is empty" in p.run("check", check=2).stderr
        p.write("bulla.yaml", yaml)
        assert p.json("up")[0]["t"] == "up"
        assert p.json("down")[0]["t"] == "down"
        assert p.json("down")[0]["t"] == "down"


@tap.case
def a_run_that_goes_on_has_no_proof_yet():
    with project() as p:
        p.run("up", check=0)
        assert "goes on" in p.run("--timeout", "500ms", "run", "z", "--set", "a=1", check=124).stderr
        for command in ("verify", "bundle", "open", "logs"):
            assert "next: bulla wait" in p.run(command, check=75).stderr, command
        p.run("wait", check=0)
        p.run("verify", check=4)


@tap.case
def what_ran_before_an_edit_still_opens():
    with project() as p:
        p.run("up", check=0)
        p.run("run", "w", "--set", "a=1", check=0)
        p.write("bulla.yaml", TWO.replace("64M", "128M"))
        assert p.run("open", check=0).stdout == '{"a":1}\n'  # edited, not in force
        p.run("up", check=0)
        assert p.run("open", check=0).stdout == '{"a":1}\n'
        assert "a note" in p.run("logs", check=0).stdout
        assert "bulla open" in p.run("wait", check=0).stderr
        p.run("bundle", "-o", "old", check=0)
        assert p.run("open", "old", check=0).stdout == '{"a":1}\n'
        p.write("bulla.yaml", TWO.replace("w: [a]", "w: [slow, a]"))
        told = p.run("open", check=5).stderr
        assert "of epoch 1" in told and "check out bulla.yaml" in told, told


@tap.case
def the_bundle_of_a_stranger_is_not_opened():
    with project() as p, project() as stranger:
        for one in (p, stranger):
            one.run("up", check=0)
            one.run("run", "w", "--set", "a=1", check=0)
        stranger.run("bundle", "-o", os.path.join(p.dir, "theirs"), check=0)
        told = p.run("open", "theirs", check=5)
        assert told.stdout == "" and "error[" in told.stderr, told


@tap.case
def a_busy_port_is_named():
    with project() as p, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        p.write("bulla.yaml", TWO + f"broker: {{port: {port}}}\n")
        begin = time.monotonic()
        told = p.run("up", check=75).stderr
        assert f"error[port-busy]: 127.0.0.1:{port} is used" in told and "next: stop it" in told, told
        assert time.monotonic() - begin < 12, "it was to be found out at once"
        told = p.run("doctor", check=1).stdout
        assert f"fail  port: 127.0.0.1:{port} is used" in told and "next: stop what has it" in told, told
        states = {row["id"]: row["state"] for row in p.json("doctor", check=1)}
        assert states["port"] == "failed" and states["disk"] == states["programs"] == "held", states
        told = p.run("run", "w", "--set", "a=1", check=75).stderr
        assert "broker" in told and "nothing was started" in told, told
        other.close()
        p.run("up", check=0)
        assert "fail" not in p.run("doctor", check=0).stdout
        p.run("run", "w", "--set", "a=1", check=0)


@tap.case
def a_lost_key_is_not_replaced():
    with project() as p:
        p.run("up", check=0)
        p.run("down", check=0)
        key = os.path.join(p.env["XDG_CONFIG_HOME"], "bulla/owner.key")
        os.rename(key, key + ".kept")
        told = p.run("up", check=3).stderr
        assert "is gone" in told and "next: restore it" in told, told
        os.rename(key + ".kept", key)
        p.run("up", check=0)


tap.main()
