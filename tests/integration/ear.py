"""An independent reader of attestation results (EAR): JWT and CWT with the same names, signatures verified by openssl. Not a test itself."""
import base64
import json
import os
import re
import struct
import subprocess
import tempfile

SRC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src")
TIERS = {0: "none", 2: "affirming", 32: "warning", 96: "contraindicated"}  # draft-ietf-rats-ar4si section 2.3
VECTOR = ("instance-identity", "configuration", "executables", "file-system", "hardware", "runtime-opaque", "storage-opaque", "sourced-data")
STATES = {1: "held", 2: "failed", 3: "not-checked"}
with open(os.path.join(SRC, "attest/factors.def"), encoding="utf-8") as definitions:
    FACTORS = re.findall(r'^BULLA_FACTOR\(\w+, "([a-z0-9-]+)"', definitions.read(), re.M)


def base64url(text):
    assert "=" not in text, text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Tagged:
    def __init__(self, tag, value):
        self.tag, self.value = tag, value


def cbor(data, at=0):
    """(value, end): RFC 8949 section 4.2.1, deterministic and nothing else."""
    major, info, at = data[at] >> 5, data[at] & 31, at + 1
    number = info
    if info >= 24:
        assert info < 28, "indefinite or reserved"
        size = 1 << (info - 24)
        number, at = int.from_bytes(data[at:at + size], "big"), at + size
        assert number >= (24 if size == 1 else 1 << (4 * size)), "not the shortest form"
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        assert at + number <= len(data), "truncated"
        value = data[at:at + number]
        return (value if major == 2 else value.decode()), at + number
    if major == 4:
        items = []
        for _ in range(number):
            item, at = cbor(data, at)
            items.append(item)
        return items, at
    if major == 5:
        found, last = {}, b""
        for _ in range(number):
            begin = at
            key, at = cbor(data, at)
            assert data[begin:at] > last, "keys out of order, or twice"
            last = data[begin:at]
            found[key], at = cbor(data, at)
        return found, at
    assert major == 6, "simple values are in no result"
    value, at = cbor(data, at)
    return Tagged(number, value), at


def whole(data):
    value, end = cbor(data)
    assert end == len(data), "trailing bytes"
    return value


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    info, form = ((24, "B"), (25, ">H"), (26, ">I"))[(number > 0xff) + (number > 0xffff)]
    return bytes([major << 5 | info]) + struct.pack(form, number)


def verify(public_pem, message, signature):
    """ES256 by openssl; signature is r || s."""
    def integer(half):
        half = half.lstrip(b"\0") or b"\0"
        half = b"\0" + half if half[0] & 0x80 else half
        return b"\x02" + bytes([len(half)]) + half

    assert len(signature) == 64, len(signature)
    body = integer(signature[:32]) + integer(signature[32:])
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("key", public_pem), ("signature", b"\x30" + bytes([len(body)]) + body)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", os.path.join(folder, "key"), "-signature",
                               os.path.join(folder, "signature")], input=message, capture_output=True, timeout=20)
    return done.returncode == 0


def read_jwt(text, public_pem):
    first, second, third = text.split(".")
    assert json.loads(base64url(first)) == {"alg": "ES256", "typ": "JWT"}, first
    assert verify(public_pem, f"{first}.{second}".encode(), base64url(third)), "the JWT's signature"
    assert not verify(public_pem, f"{first}.{second}x".encode(), base64url(third))
    return json.loads(base64url(second), object_pairs_hook=no_twice)


def no_twice(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def renamed(claims, names):
    """Every key has a name; one that has none is a failure."""
    return {names[key]: value for key, value in claims.items()}


def submodule(claims):
    found = renamed(claims, {1000: "ear.status", 1001: "ear.trustworthiness-vector", 1003: "ear.appraisal-policy-id",
                             -80001: "bulla.assurance", -80002: "bulla.factors"})
    found["ear.status"] = TIERS[found["ear.status"]]
    found["ear.trustworthiness-vector"] = renamed(found["ear.trustworthiness-vector"], dict(enumerate(VECTOR)))
    found["bulla.factors"] = {FACTORS[number]: STATES[state] for number, state in found["bulla.factors"].items()}
    return found


def read_cwt(data, public_pem):
    """The claims under the names that the JWT has for them."""
    message = whole(data)
    assert isinstance(message, Tagged) and message.tag == 18, "COSE_Sign1 (RFC 9052 section 4.2)"
    protected, unprotected, payload, signature = message.value
    assert whole(protected) == {1: -7} and unprotected == {}, (protected, unprotected)
    signed = b"\x84\x6aSignature1" + b"".join(head(2, len(part)) + part for part in (protected, b"", payload))
    assert verify(public_pem, signed, signature), "the CWT's signature"
    assert not verify(public_pem, signed + b"x", signature)
    found = renamed(whole(payload), {4: "exp", 6: "iat", 10: "eat_nonce", 265: "eat_profile", 266: "submods", 1004: "ear.verifier-id"})
    if "eat_nonce" in found:
        found["eat_nonce"] = base64.urlsafe_b64encode(found["eat_nonce"]).decode().rstrip("=")
    found["ear.verifier-id"] = renamed(found["ear.verifier-id"], {0: "developer", 1: "build"})
    found["submods"] = {name: submodule(claims) for name, claims in found["submods"].items()}
    return found


def read_both(jwt, cwt, public_pem):
    """The claims of a JWT, which the CWT made within the same minute has too, all of them."""
    claims, others = read_jwt(jwt, public_pem), read_cwt(cwt, public_pem)
    for name in ("iat", "exp"):
        assert (name in claims) == (name in others) and abs(claims.get(name, 0) - others.get(name, 0)) <= 60, (name, claims, others)
    same = {name: value for name, value in claims.items() if name not in ("iat", "exp")}
    assert same == {name: value for name, value in others.items() if name not in ("iat", "exp")}, (claims, others)
    return claims


def public_of_jwk(jwk):
    """A PEM of {"kty": "EC", "crv": "P-256", "x", "y"} (RFC 5480: the fixed head of such a key)."""
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + base64url(jwk["x"]) + base64url(jwk["y"])
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"
