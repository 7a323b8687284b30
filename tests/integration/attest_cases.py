"""The committed cases of evidence (tests/vectors/attest, one rule broken in each) as files and options of `bulla attest`. Not a test itself."""
import base64
import hashlib
import json
import os
import re
import struct
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CASES = os.path.join(ROOT, "tests", "vectors", "attest")
FAMILIES = ("nitro", "snp", "tdx", "sgx", "azure", "psa", "cca")
VALUE, DEVICE, SECRET = 1, 3, 4  # how a value is expected, how an anchor is kept
FOLDER = tempfile.TemporaryDirectory()


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

    def options(self):
        """--anchor and --collateral with their files."""
        root = self.anchor()
        words = ["--anchor", write(self.name + ".anchor", root)] if root is not None else []
        for i, data in enumerate(self.files()):
            words += ["--collateral", write(f"{self.name}.collateral{i}", data)]
        return words

    def expected(self):
        """--binder (whole: a shorter value is followed by zeros), --nonce: what the case is bound to."""
        rows = zip(("--binder", "--nonce"), self.binding, (128, 0))
        return [word for flag, (how, value), digits in rows if how == VALUE for word in (flag, value.hex().ljust(digits, "0"))]


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
