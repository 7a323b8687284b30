"""What bad input gets from `bulla attest verify`: the committed cases (one rule broken in each, tests/vectors/attest) as files and options, and
coarser damage of each family's good one. Every refusal names the rule and the place; nothing is unknown, nothing dies."""
import base64
import json
import os
import re
import subprocess

from attest_cases import CASES, DEVICE, FAMILIES, ROOT, SECRET, VALUE, Case, write
from project import BUILD, Tap

HOLDS, REFUSED = (0, 4), 1  # 4: of class dev, as every root of one's own is
tap = Tap()


def verify(case, evidence=None, *more, at=None, anchor=True, collateral=True, binding=True):
    words = [os.path.join(BUILD, "src/cmd/bulla"), "attest", "verify", write("evidence", case.evidence if evidence is None else evidence),
             "--any-code", "--at", str(at or case.now // 1000), *more]
    words += (case.expected() or ["--any-nonce"]) if binding else []
    root = case.anchor() if anchor else None
    if root is not None:
        words += ["--anchor", write("anchor", root)]
    for i, data in enumerate(case.files() if collateral else ()):
        words += ["--collateral", write(f"collateral{i}", data)]
    if case.policy[28]:  # dcap.without_collateral
        words += ["--no-collateral"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, errors="replace")
    return done.returncode, done.stdout + done.stderr


def refused(code, text, what, collateral=False):
    """The rule's name; it stands with the place in the bytes. Collateral that cannot be read at all is an error that names its file."""
    found = re.search(r"^where +([a-z-]+): [^\n]+ \(byte \d+(?: of what the file decodes to)?\)$", text, re.M)
    if found is None and collateral:
        assert code > REFUSED and re.search(r"^error\[format\]: .*\nwhere: .*collateral\d", text), (what, code, text)
        return "format"
    assert found and code == REFUSED and text.startswith("REFUSED"), (what, code, text)
    return found.group(1)


@tap.case
def good_evidence_is_accepted():
    for family in FAMILIES:
        code, text = verify(Case(family + "-held"))
        assert code in HOLDS and text.startswith("ACCEPTED"), (family, code, text)


# What the command line says in another way, or cannot say.
WAIVED = ("snp-csp", "snp-vmpl", "clock", "psa-instance")  # --any-code waives places; --at sets the clock; --anchor endorses the instance
OTHERWISE = {"nonce": "binder",  # where the report data is all there is
             "encoding": "size"}  # the library knows no kind by its first byte; of JSON that ends behind it the tool knows more


@tap.case
def each_broken_rule_is_named():
    """All that can be said on the command line; the rest is in the unit tests."""
    said = 0
    for family in FAMILIES:
        held = Case(family + "-held")
        for name in sorted(name[:-5] for name in os.listdir(CASES) if name.startswith(family + "-") and name.endswith(".case")):
            case, rule = Case(name), name[len(family) + 1:]
            if rule == "held" or rule in WAIVED or not case.sayable(held):
                continue
            damaged_file = case.collateral[4] != held.collateral[4]
            named = refused(*verify(case), name, damaged_file)
            assert named in (rule, OTHERWISE.get(rule)) or (damaged_file and named == "format"), (name, named)
            said += 1
    assert said > 110, said


def damaged(good):
    """Evidence that is broken as a whole, and how."""
    yield "empty", b""
    yield "one byte", good[:1]
    yield "half", good[:len(good) // 2]
    yield "truncated", good[:-1]
    yield "trailing", good + b"\0"
    yield "twice", good + good
    yield "zeros", bytes(len(good))
    yield "shifted", b"\0" + good
    yield "as JSON string", json.dumps(base64.b64encode(good[:-1]).decode()).encode()
    yield "not JSON", b"{" + good
    yield "not PEM", b"-----BEGIN " + good
    yield "not hexadecimal", good.hex().encode() + b"0"
    yield "not base64", base64.b64encode(good) + b"A===="
    nested = good
    for _ in range(9):
        nested = base64.b64encode(nested)
    yield "nested", nested
    yield "nested JSON", b'{"a":' * 40 + b'"' + base64.b64encode(good) + b'"' + b"}" * 40


@tap.case
def damaged_evidence_is_refused():
    for family in FAMILIES:
        case = Case(family + "-held")
        for what, evidence in damaged(case.evidence):
            refused(*verify(case, evidence), (family, what))
    code, text = verify(Case("nitro-held"), bytes(1 << 22))
    assert code > REFUSED and text.startswith("error[limit]: "), text


@tap.case
def wrong_circumstances_are_refused():
    for family in FAMILIES:
        case = Case(family + "-held")
        if case.anchors[0][2] not in (DEVICE, SECRET):  # devices' keys have no dates
            rules = ("chain-dates", "fresh", "not-future", "clock")
            assert refused(*verify(case, at=case.now // 1000 + 400 * 365 * 86400), family) in rules
            assert refused(*verify(case, at=case.now // 1000 - 20 * 365 * 86400), family) in rules
        assert refused(*verify(case, anchor=False), family) == "anchor"
        assert refused(*verify(case, None, "--binder", "5a" * 64, binding=False), family) == "binder"
        assert refused(*verify(case, None, "--nonce", "5a" * 32, binding=False), family) in ("nonce", "binder")
        if case.collateral[0] or case.collateral[4]:
            refused(*verify(case, collateral=False), family)
    code, text = verify(Case("snp-held"), None, "--nonce", "07" * 32, "--binder", "05" * 64, binding=False)
    assert code == 2 and "one field" in text, text  # or one of them would go unchecked
    with open(os.path.join(ROOT, "tests", "fuzz", "corpus", "collateral", "ratls_ego"), "rb") as file:
        code, text = verify(Case("sgx-held"), file.read(), "--nonce", "07" * 32, binding=False, anchor=False)
    assert code == 2 and "the hash of a key" in text, text  # or the certificate's key would go unchecked
    code, text = verify(Case("nitro-held"), binding=False)
    assert code != 0 and "--any-nonce" in text, text  # nothing is waived in silence
    for option in ("--nonce", "--binder"):  # a variable that was never set is no challenge
        code, text = verify(Case("nitro-held"), None, option, "", binding=False)
        assert code == 2 and "does not take ``" in text, text


def each_head(data):
    """Nitro's, PSA's and CCA's first bytes with the head of an item one size longer than it need be."""
    inside = 0
    for at in range(12):
        major, info = data[at] & 0xe0, data[at] & 31
        if inside > 0:  # a length's second byte is no head
            inside -= 1
            continue
        inside = 1 << (info - 24) if 24 < info < 28 else 0
        if info < 24 and major <= 0xc0:
            yield data[:at] + bytes([major | 24, info]) + data[at + 1:]
        elif info == 24:
            yield data[:at] + bytes([major | 25, 0]) + data[at + 1:]


@tap.case
def lengths_have_one_form():
    for family in ("nitro", "psa", "cca"):
        case = Case(family + "-held")
        for evidence in each_head(case.evidence):
            refused(*verify(case, evidence), family)


tap.main()
