"""Bundles of real runs under an independent auditor and reader (auditor.py, reader.py): other people's CBOR, COSE, X.509, HPKE.
Where ours holds, theirs must; what is forged, both must refuse."""
import hashlib
import io
import os
import random
import sys

import others

others.enter("cbor2==6.2.1", "pycose==1.1.0", "pyhpke==0.6.5", "cryptography==50.0.2")

import cbor2  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from pycose.keys import EC2Key  # noqa: E402
from pycose.messages import Sign1Message  # noqa: E402
from auditor import Auditor, Refused, Trust, root, sha  # noqa: E402
from project import Project, Tap  # noqa: E402
from reader import Reader  # noqa: E402

sys.dont_write_bytecode = True
tap = Tap()
EACH = "\n    steps:\n      - intake\n      - risk: {input: intake.figures}\n      - decide: {input: {risk: risk, person: intake.person, " \
    "asked: intake.figures.amount}}\n    receipts: each\n"


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


# an agent that answers a second's questions in one write: the receipts of a turn share a signature
HOLD = """import os, select, sys
while line := os.read(0, 65536):
    while select.select([0], [], [], 1)[0] and (more := os.read(0, 65536)):
        line += more
    os.write(1, line)
"""


def side_by_side(count):
    """Bundles of runs that went side by side, and what a verifier believes."""
    with Project("hello", "project: hold\nagents: {a: {stream: python3 hold.py, at_once: 16}}\nworkflows: {w: [a]}\n") as p:
        p.write("agents/a/hold.py", HOLD)
        p.run("up", check=0)
        p.write("x.json", "[1]")
        running = [p.start("run", "w", "--input", "x.json") for _ in range(count)]
        for one in running:
            one.communicate(timeout=60)
        bundles = []
        for row in p.json("ls"):
            p.run("bundle", row["run"], "-o", "b", check=0)
            bundles.append(bytes_of(os.path.join(p.dir, "b")))
        return bundles, Trust(p.run("trust", check=0).stdout)


class Runs:
    """Runs of the loan example: their bundles, and what a verifier believes."""

    def __init__(self):
        self.project = Project().__enter__()
        p = self.project
        text = p.read("bulla.yaml")
        p.write("bulla.yaml", text + "  one-by-one:" + EACH)
        p.run("up", check=0)
        self.trust = Trust(p.run("trust", check=0).stdout)
        p.write("t", p.run("trust", check=0).stdout)

    def run(self, workflow="loan", application="application.json", check=0):
        p = self.project
        p.run("run", workflow, "--input", application, check=check)
        p.run("bundle", "-o", "b", check=0)
        return bytes_of(os.path.join(p.dir, "b"))

    def ours(self, bundle):
        """First line of what `bulla verify` says."""
        with open(os.path.join(self.project.dir, "x"), "wb") as file:
            file.write(bundle)
        return self.project.run("verify", "x", "--trust", "t").stdout.split("\n")[0]


runs = None


def refused(bundle):
    """Whether the auditor refuses; any exception of the libraries below is a refusal."""
    try:
        Auditor(bundle, runs.trust).audit()
        return False
    except Exception:
        return True


@tap.case
def what_ours_accepts_the_auditor_accepts():
    global runs
    runs = Runs()
    said = Auditor(runs.run(), runs.trust).audit()
    assert said["receipts"] == 3 and said["enclaves"] == 3 and said["approvals"] == 1, said
    failed = Auditor(runs.run(application="incomplete.json", check=1), runs.trust).audit()
    assert failed["receipts"] == 3 and failed["tokens"] == 1, failed


@tap.case
def signatures_one_by_one_and_shared():
    each = Auditor(runs.run("one-by-one"), runs.trust).audit()
    assert each["receipts"] == 3 and each["signed in batches"] == 0, each
    bundles, trust = side_by_side(12)
    assert len(bundles) == 12
    auths = []
    for bundle in bundles:
        auditor = Auditor(bundle, trust)
        assert auditor.audit()["receipts"] == 1
        auths += [cbor2.loads(raw)[2] for raw in auditor.items[8]]
    largest = max(auth[2] for auth in auths if len(auth) == 4)
    print(f"# the largest batch has {largest} receipts")
    assert largest >= 3, "no batch with a path was seen"


@tap.case
def another_reader_opens_what_is_its_own():
    bundle = runs.run()
    p = runs.project
    auditor = Auditor(bundle, runs.trust)
    opened = Reader(bytes_of(os.path.join(p.work, "config/bulla/owner.key"))).open_all(auditor.items)
    assert (3, p.run("open", check=0).stdout.rstrip("\n").encode()) in [(step, text.rstrip(b"\n")) for step, text in opened], opened
    envelopes = auditor.items[9]
    assert len(opened) < len(envelopes), "what one agent sends another is not the owner's to read"


@tap.case
def the_agents_are_those_in_the_folder():
    """Section `bundle digest of an agent`, computed from the files."""
    auditor, folder = Auditor(runs.run(), runs.trust), os.path.join(runs.project.dir, "agents")
    digests = set()
    for name in os.listdir(folder):
        files = []
        for top, _, names in os.walk(os.path.join(folder, name)):
            files += [os.path.join(top, n) for n in names]
        items = []
        for path in sorted(files, key=lambda f: os.path.relpath(f, os.path.join(folder, name)).encode()):
            text = bytes_of(path)
            items.append(cbor2.dumps([os.path.relpath(path, os.path.join(folder, name)), os.access(path, os.X_OK) and
                                      bool(os.stat(path).st_mode & 0o111), len(text), sha(text)]))
        digests.add(sha(cbor2.dumps([1, len(items), root(items)])))
    assert digests == {agent.bundle for agent in auditor.manifest.agents.values()}, "an agent's digest is another than its files'"


@tap.case
def flipped_bits_are_refused_by_both():
    good, rng = runs.run(), random.Random(11)
    for i in range(200):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        assert refused(bytes(bad)), "a flipped bit"
        assert i % 8 or runs.ours(bytes(bad)).startswith("REFUSED")


def items_of(bundle):
    f, items = io.BytesIO(bundle), []
    while f.tell() < len(bundle):
        items.append(cbor2.load(f))
    return items


def sealed_again(items):
    """The bundle with a trailer that fits: that takes no key, so it must not help a forger."""
    body = b"".join(cbor2.dumps(item) for item in items[:-1])
    counts = [sum(item[0] == kind for item in items[:-1]) for kind in range(16)]
    return body + cbor2.dumps([16, cbor2.dumps([1, counts, hashlib.sha256(body).digest()])])


@tap.case
def forgeries_with_a_good_trailer_are_refused_by_both():
    good, rng = runs.run(), random.Random(12)
    items = items_of(good)
    assert sealed_again(items) == good
    signed = [i for i, item in enumerate(items) if item[0] in (1, 2, 3, 6, 7, 8, 11, 12, 13)]
    for number in range(120):
        bad = [list(item) for item in items]
        at = signed[number % len(signed)]
        body = bytearray(bad[at][1])
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        bad[at][1] = bytes(body)
        bundle = sealed_again(bad)
        assert refused(bundle), f"the auditor takes a changed item of kind {bad[at][0]}"
        said = runs.ours(bundle)
        assert said.startswith(("REFUSED", "UNKNOWN SIGNER")), f"bulla verify says of a changed item of kind {bad[at][0]}: {said}"


@tap.case
def items_left_out_repeated_or_of_another_run_are_refused_by_both():
    items, other = items_of(runs.run()), items_of(runs.run())
    for at in range(1, len(items) - 1):
        kind = items[at][0]
        if kind not in (6, 9, 12, 15):  # a link, an envelope, a token, a day key that is not there the auditor does not ask for
            assert refused(sealed_again(items[:at] + items[at + 1:])), f"left out: kind {kind}"
        if kind in (8, 11):
            assert refused(sealed_again(items[:at] + [items[at]] + items[at:])), f"twice: kind {kind}"
            swapped = next(item for item in other if item[0] == kind and item != items[at])
            spliced = sealed_again(items[:at] + [swapped] + items[at + 1:])
            assert refused(spliced) and runs.ours(spliced).startswith("REFUSED"), f"of another run: kind {kind}"


def cut_tail(items, key, state, entries):
    """The bundle with only so many of the ledger's entries and receipts (no tokens: the ledger's key is in them), under a head that
    a ledger with this key signed when the run stood there."""
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    rows = [item[1] for item in items if item[0] == 11][:entries]
    ended = {cbor2.loads(row)[9] for row in rows}
    head = cbor2.loads(cbor2.loads(next(item[1] for item in items if item[0] == 13))[2])
    head[3:7] = [len(rows), root(rows), *(int.from_bytes(cbor2.loads(rows[-1])[i], "big") for i in (6, 7))]
    head[8] = state
    protected = cbor2.dumps({1: -7, 3: "application/bulla-run-head+cbor;v=1", 4: sha(spki)}, canonical=True)
    message = Sign1Message.from_cose_obj([protected, {}, cbor2.dumps(head), b""], True)
    numbers = key.private_numbers()
    message.key = EC2Key(crv="P_256", d=numbers.private_value.to_bytes(32, "big"), x=numbers.public_numbers.x.to_bytes(32, "big"),
                         y=numbers.public_numbers.y.to_bytes(32, "big"))
    signed = cbor2.dumps([protected, {}, cbor2.dumps(head), message.compute_signature()])
    kept = [item for item in items if item[0] not in (9, 10, 11, 12, 13) and not (item[0] == 8 and sha(cbor2.loads(item[1])[1]) not in ended)]
    at = max(i for i, item in enumerate(kept) if item[0] == 8) + 1
    return sealed_again(kept[:at] + [[11, row] for row in rows] + [[13, signed]] + kept[at:]), spki


def says(bundle, ledger):
    """What the auditor finds wrong when this key is the ledger's; "" for nothing."""
    auditor = Auditor(bundle, runs.trust)
    auditor.manifest.ledger = ledger
    try:
        auditor.audit()
    except Refused as why:
        return str(why)
    return ""


@tap.case
def a_tail_that_is_missing_is_seen():
    items, key = items_of(runs.run()), ec.generate_private_key(ec.SECP256R1())
    count = sum(item[0] == 11 for item in items)
    assert says(*cut_tail(items, key, 2, count)) == "", "the whole run, under the forger's own ledger key"
    assert "had not ended" in says(*cut_tail(items, key, 1, count))
    assert "ended otherwise" in says(*cut_tail(items, key, 3, count))
    for left_out in (1, 2, 3):
        assert "had not ended" in says(*cut_tail(items, key, 1, count - left_out)), f"{left_out} entries left out"
        assert "ended otherwise" in says(*cut_tail(items, key, 2, count - left_out)), f"{left_out} entries left out"


try:
    tap.main()
finally:
    if runs is not None:
        runs.project.__exit__()
