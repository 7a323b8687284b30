"""An enclave of each TEE, behind a fake tree of the tests' own (tee_world): it joins, gets its agents' keys, runs two steps, and
the bundle verifies. Broker, engine and enclave are the real programs; the hardware's roots are the test's, of class emulator."""
import json
import os
import subprocess
import time

from frames import Owner
from kms_client import Client
from project import BUILD, Project, Tap

tap = Tap()
PUT_MANIFEST, AGAIN = 30, 75
TEXT = """project: two
agents:
  first: sh -c 'printf "[%s]" "$(cat)"'
  second: sh -c 'printf "[%s, 1]" "$(cat)"'
workflows:
  two: [first, second]
"""
SOURCES = {"tdx": "tsm", "snp": "tsm", "cca": "tsm", "sgx": "gramine", "az-snp": "azure", "az-tdx": "azure"}
DEMANDED = "snp"  # there the broker has reference values of its own
LENT = ("snp", "az-tdx")  # there the broker has the collateral, and lends it


def words_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().decode().split("\0")[:-1]


class World:
    """A project whose newest epoch accepts one machine alone: broker and engine as `bulla up` started them, one enclave with
    both agents on that machine."""

    def __init__(self, kind):
        self.kind = kind
        self.project = Project("hello", text=TEXT)
        self.running = {}
        self.project.run("up", check=0)
        pids = self.project.pids()
        enclaves = [words_of(pid) for name, pid in sorted(pids.items()) if name.startswith("bulla-enclave")]
        self.kms = words_of(pids["bulla-kms"])
        self.host = words_of(pids["bullad"])
        self.project.run("down", check=0)
        self.enclave = self.words_of_enclave(enclaves)

    def words_of_enclave(self, enclaves):
        """One process for all agents: a machine has one register for what is measured."""
        words = [os.path.join(BUILD, "src/cmd/bulla-enclave-" + SOURCES[self.kind])]
        taken = enclaves[0][1:]
        for name in ("--listen", "--manifest"):
            words += [name, taken[taken.index(name) + 1]]
        for other in enclaves:
            words += ["--agent", other[other.index("--agent") + 1]]
        out = os.path.join(self.project.work, "machine")
        words += ["--root", out + "/root"]
        if SOURCES[self.kind] == "azure":
            words += ["--quotes", f"unix:{out}/quotes.sock"]
        first = self.host.index("--enclave")
        self.host = self.host[:first] + ["--enclave", words[words.index("--listen") + 1]]
        return words

    def start(self, name, words):
        with open(os.path.join(self.project.work, name + ".log"), "ab") as log:
            self.running[name] = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.project.env)

    def start_machine(self):
        out = os.path.join(self.project.work, "machine")
        os.makedirs(out + "/root")
        machine = subprocess.Popen([os.path.join(BUILD, "tests/integration/tee_world"), self.kind, out + "/root", out,
                                    self.project.state + "/owner/manifest", self.project.env["XDG_CONFIG_HOME"] + "/bulla/owner.key"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running["machine"] = machine
        line = machine.stdout.readline().split()
        assert line and line[0] == "ready", line
        self.tee, self.measurement = line[1:]
        if os.path.exists(out + "/collateral"):
            who = self.kms if self.kind in LENT else self.enclave
            who += ["--collateral", out + "/collateral"]

    def allow(self, measurement):
        """The keys' policies name this machine instead of the development enclaves."""
        kms = Client(self.project)
        for key in kms.call("ListKeys", {}, signed=True)["Keys"]:
            policy = json.loads(kms.call("GetKeyPolicy", {"KeyId": key["KeyArn"], "PolicyName": "default"})["Policy"])
            policy["Statement"][0]["Condition"]["StringEqualsIgnoreCase"] = {
                "bulla:RecipientAttestation:tee": self.tee, "bulla:RecipientAttestation:measurement": measurement}
            assert kms.call("PutKeyPolicy", {"KeyId": key["KeyArn"], "PolicyName": "default", "Policy": json.dumps(policy)},
                            signed=True) == {}

    def put(self, socket):
        with open(os.path.join(self.project.work, "machine/put"), "rb") as file:
            body = file.read()
        until = time.monotonic() + 90
        while True:
            try:
                flags, reply = Owner(self.project, socket).call(PUT_MANIFEST, body)
                assert flags == 1, (socket, flags, reply)
                return
            except (OSError, EOFError):
                assert time.monotonic() < until, socket
                time.sleep(0.05)

    def demand(self, measurement):
        """Who runs the broker wants this code, whatever else the manifest accepts."""
        path = os.path.join(self.project.work, "demanded")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"v": 1, "tee": [self.tee], "assurance": "emulator", "images": [{"measurement": measurement}]}, file)
        if "--reference" not in self.kms:
            self.kms += ["--reference", path]

    def up(self):
        self.start_machine()
        if self.kind == DEMANDED:
            self.demand("cd" * 48)
        self.start("kms", self.kms)
        self.put("broker.sock")
        self.start("enclave", self.enclave)
        self.start("host", self.host)
        self.put("bullad.sock")

    def log(self, name):
        with open(os.path.join(self.project.work, name + ".log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, name, text):
        until = time.monotonic() + 90
        while text not in self.log(name):
            assert time.monotonic() < until, self.log(name)[-2000:]
            time.sleep(0.05)

    def wait_kms(self):
        until = time.monotonic() + 90
        while True:
            try:
                return Client(self.project).call("ListKeys", {}, signed=True)
            except OSError:
                assert time.monotonic() < until, self.log("kms")
                time.sleep(0.05)

    def wait_refused(self, error):
        """Until the KMS has refused a key with this error; the newest one of the audit."""
        until = time.monotonic() + 90
        while not any(e.get("errorMessage") == error for e in Client(self.project).audit()):
            assert time.monotonic() < until, self.log("enclave") + self.log("kms")[-2000:] + str(Client(self.project).audit()[-1])
            time.sleep(0.05)

    def stop(self, name):
        process = self.running.pop(name)
        process.stdin.close()
        if name != "machine":
            process.terminate()
        process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in ("host", "enclave", "kms", "machine"):
            if name in self.running:
                self.stop(name)
        self.project.__exit__()


def patiently(world, *words, stdin=""):
    """What says `call again` is called again."""
    until = time.monotonic() + 90
    while (done := world.project.run(*words, stdin=stdin, timeout=60)).returncode == AGAIN:
        assert time.monotonic() < until, done.stderr + world.log("enclave") + world.log("kms")[-2000:]
        time.sleep(0.1)
    return done


def runs_to_a_verified_bundle(world, name):
    done = patiently(world, "run", "two", "--id", name, "--input", "-", stdin="5")
    assert done.returncode == 0, done.stdout + done.stderr + world.log("enclave") + world.log("kms")[-2000:]
    assert json.loads(done.stdout) == [[5], 1]
    assert patiently(world, "bundle", "-o", name + ".bulla").returncode == 0
    verdict = world.project.run("verify", name + ".bulla", check=4)  # 4: good, of class emulator
    assert "emulator" in verdict.stdout, verdict.stdout


def releases(world, name):
    return [e for e in Client(world.project).audit() if e["eventName"] == name and "errorCode" not in e and
            e.get("additionalEventData", {}).get("recipient", {}).get("bullaMeasurement") == world.measurement]


def whole(kind):
    with World(kind) as world:
        world.up()
        if kind == DEMANDED:
            world.wait_log("kms", "measurement-mismatch")  # the manifest accepts it, the broker does not
            world.stop("kms")
            world.demand(world.measurement)
            world.start("kms", world.kms)
            world.wait_kms()
        world.allow("ab" * 48)  # first a policy that names other code: refused, and said
        world.wait_refused("measurement-mismatch")
        world.allow(world.measurement)
        runs_to_a_verified_bundle(world, "first")
        assert len(releases(world, "GenerateDataKey")) == 2
        world.stop("enclave")
        world.start("enclave", world.enclave)  # another one on the same machine gets the keys that were born
        if kind == "tdx":
            world.wait_log("kms", "measurement-mismatch")  # RTMR3 was extended: the machine has to boot anew
        else:
            runs_to_a_verified_bundle(world, "second")
            assert len(releases(world, "Decrypt")) == 2
            assert len(releases(world, "GenerateDataKey")) == 2


for tee in SOURCES:
    def case(tee=tee):
        whole(tee)
    case.__name__ = "a_join_over_" + tee.replace("-", "_")
    tap.case(case)

tap.main()
