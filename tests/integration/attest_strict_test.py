"""What bad input gets from `bulla attest verify`: the committed cases (one rule broken in each, tests/vectors/attest) as files and options, and
coarser damage of each family's good one. Every refusal names the rule and the place; nothing is unknown, nothing dies."""
import base64
import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile

from project import BUILD, Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CASES = os.path.join(ROOT, "tests", "vectors", "attest")
FAMILIES = ("nitro", "snp", "tdx", "sgx", "azure", "psa", "cca")
HOLDS, REFUSED, VALUE, DEVICE, SECRET = (0, 4), 1, 1, 3, 4  # 4: of class dev, as every root of one's own is
FOLDER = tempfile.TemporaryDirectory()
tap = Tap()


def decode(data, at=0):
    """The CBOR of a case: unsigned numbers, byte strings, arrays."""
    major, info, at = data[at] >> 5, data[at] & 31, at + 1
    if info >= 24:
        size = 1 << (info - 24)
        info, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major == 0:
        return info, at
    if major == 2:
        return data[at:at + info], at + info
    assert major == 4, major
    items = []
    for _ in range(info):
        item, at = decode(data, at)
        items.append(item)
    return items, at


class Case:
    """What stands in a case, and the command line that says the same."""

    def __init__(self, name):
        self.name = name
        with open(os.path.join(CASES, name + ".case"), "rb") as file:
            self.evidence, self.anchors, self.policy, self.binding, (self.now, _), self.collateral = decode(file.read())[0]

    def sayable(self, held):
        """The command line has no words for keys and manifests, nor for two signers of texts, and forgets no
        expectation; this test has none for policies."""
        parts = self.collateral[4] or [b""] * 9
        return (self.policy == held.policy and self.anchors[0][:3] == held.anchors[0][:3] and parts[2] == parts[5] and
                all(how != VALUE for how, _ in self.binding[2:]) and all(how for how, _ in self.binding))

    def roots(self):
        """Every certificate that comes along, in DER."""
        pem = self.evidence + b"".join(self.collateral[4])
        found = [base64.b64decode(text) for text in re.findall(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END", pem)]
        for at in (match.start() for match in re.finditer(rb"\x30\x82", self.evidence)):
            size = 4 + struct.unpack(">H", self.evidence[at + 2:at + 4])[0] if len(self.evidence) >= at + 4 else 0
            found.append(self.evidence[at:at + size])
        return self.collateral[0] + found

    def anchor(self):
        """The root's DER, or a device's key; None when the case trusts nobody who is here."""
        for _, _, how, identity, key in self.anchors:
            if how == DEVICE:
                text = base64.b64encode(key).decode()
                return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()
            if how == SECRET:
                return json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(key).decode().rstrip("=")}).encode()
            for der in self.roots():
                if identity in (hashlib.sha256(der).digest(), key_digest(der)):
                    return der
        return None

    def files(self):
        """Collateral as a vendor hands it over."""
        certificates, table, crls, log, parts = self.collateral
        yield from certificates
        yield from crls
        yield from (part for part in (table, log) if part)
        if parts:
            tcb, tcb_signature, chain, identity, identity_signature, identity_chain, crl, crl_chain, root_crl = parts
            yield b'{"tcbInfo":' + tcb + b',"signature":"' + tcb_signature.hex().encode() + b'"}'
            yield b'{"enclaveIdentity":' + identity + b',"signature":"' + identity_signature.hex().encode() + b'"}'
            yield from (part for part in (chain, identity_chain, crl, crl_chain, root_crl) if part)


def key_digest(der):
    """SHA-256 of the SubjectPublicKeyInfo, found by its algorithm."""
    for algorithm in (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"):
        at = der.find(algorithm)
        while at > 0:
            for begin in (at - 4, at - 5, at - 6):
                size = der[begin + 1] + 2 if der[begin + 1] < 128 else int.from_bytes(der[begin + 2:begin + 4], "big") + 4
                if der[begin] == 0x30 and size < 800:
                    return hashlib.sha256(der[begin:begin + size]).digest()
            at = der.find(algorithm, at + 1)
    return None


def write(name, data):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def verify(case, evidence=None, *more, at=None, anchor=True, collateral=True, binding=True):
    words = [os.path.join(BUILD, "src/cmd/bulla"), "attest", "verify", write("evidence", case.evidence if evidence is None else evidence),
             "--any-code", "--at", str(at or case.now // 1000), *more]
    said = [word for flag, (how, value) in zip(("--binder", "--nonce"), case.binding) if how == VALUE for word in (flag, value.hex())]
    words += (said or ["--any-nonce"]) if binding else []
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
    found = re.search(r"^where +([a-z-]+): [^\n]+ \(byte \d+\)$", text, re.M)
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
             "pck-present": "chain-order"}  # certificates beside a quote without any are taken for its chain


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
            other = "encoding" if family == "azure" else None  # JSON that ends early, or does not end, is no JSON
            assert named in (rule, OTHERWISE.get(rule), other) or (damaged_file and named == "format"), (name, named)
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
        assert code == 2 and "at least one byte" in text, text


def each_head(data):
    """Nitro's, PSA's and CCA's first bytes with the head of an item one size longer than it need be."""
    for at in range(12):
        major, info = data[at] & 0xe0, data[at] & 31
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
