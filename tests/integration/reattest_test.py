"""Evidence on demand: sessions lapse when the owner says so, permits are refused with that reason, and enclaves attest again."""
import os
import signal
import subprocess
import time

from frames import Owner, varint
from project import BUILD, Project, Tap

tap = Tap()
project = Project("hello")
DEMAND = 69


def demand(owner, within_ms, instance=b""):
    return owner.call(DEMAND, (b"\x0a" + varint(len(instance)) + instance if instance else b"") + b"\x10" + varint(within_ms))


def run():
    begin = time.monotonic()
    project.run("run", "hello", "--set", "name=Ada", check=0)
    return time.monotonic() - begin


@tap.case
def everybody_attests_again():
    project.run("up", check=0)
    run()
    owner = Owner(project)
    for _ in range(3):
        flags, _ = demand(owner, 1)
        assert flags == 1, flags
        time.sleep(0.1)
        took = run()
        assert took < 20, took  # refused, told, attested again, and done


@tap.case
def demands_of_another_form_are_refused():
    owner = Owner(project)
    assert demand(owner, 3600001)[0] == 3
    assert demand(owner, 1000, b"short")[0] == 3
    assert demand(owner, 1, b"n" * 32)[0] == 1  # nobody of that name: nothing happens
    assert run() < 20


@tap.case
def a_command_demands_it():
    told = project.run("attest", "demand", "--within", "500ms", check=0)
    assert "evidence-stale" in told.stderr + told.stdout, told
    assert run() < 20
    assert project.json("attest", "demand", "00" * 32)[0]["within_ms"] == 10000  # nobody of that name: nothing happens
    for words, code, what in ((["xx"], 2, "64 hex digits"), (["--within", "2h"], 2, "within an hour")):
        refused = project.run("attest", "demand", *words)
        assert refused.returncode == code and what in refused.stderr, refused


@tap.case
def who_does_not_answer_in_time_gets_nothing_more():
    enclaves = [pid for name, pid in project.pids().items() if name.startswith("bulla-enclave")]
    project.run("attest", "demand", "--within", "300ms", check=0)
    for pid in enclaves:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)
    waiting = project.start("run", "hello", "--set", "name=Bob")
    until = time.monotonic() + 20
    while '"engine.enclave-refused","rc":"evidence-stale"' not in project.log("host/log"):  # the enclave is told the same
        assert time.monotonic() < until, project.log("host/log")
        time.sleep(0.05)
    time.sleep(0.5)
    assert waiting.poll() is None
    for pid in enclaves:
        os.kill(pid, signal.SIGCONT)
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and "Bob" in out, (out, err)  # it attested anew


@tap.case
def an_enclave_that_turned_bad_gets_nothing_more():
    result = subprocess.run(
        [os.path.join(BUILD, "tests/integration/attester"), "unix:" + os.path.join(project.env["XDG_RUNTIME_DIR"], "bulla", project.name,
                                                                                    "broker-tls.sock"),
         project.state + "/owner/manifest", project.state + "/platform"], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines() == ["attest ok", "birth ok", "again measurement-mismatch", "birth measurement-mismatch"], \
        (result.stdout, result.stderr)
    assert "broker.attestation-bad" in project.log("broker/log")
    assert run() < 20  # the others go on


try:
    tap.main()
finally:
    project.__exit__()
