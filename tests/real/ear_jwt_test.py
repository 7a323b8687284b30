"""Results of `bulla attest serve` under PyJWT (its version pinned here), an independent implementation of JWT and JWK."""
import os
import subprocess
import sys

BUILD = os.path.abspath(os.environ["BULLA_BUILD"])
VENV = os.path.join(BUILD, "jwt-venv")


def enter_venv():
    """Runs again inside a virtual environment with PyJWT; made once, kept in the build folder."""
    if sys.prefix == VENV or os.environ.get("BULLA_IN_VENV"):
        return
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(os.path.join(VENV, "done")):
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
        got = made
        if made.returncode == 0:
            got = subprocess.run([python, "-m", "pip", "install", "-q", "pyjwt[crypto]==2.10.1"], capture_output=True, text=True)
        if got.returncode != 0:
            print("1..0 # SKIP PyJWT cannot be installed:", (got.stderr or got.stdout).strip().splitlines()[-1:])
            sys.exit(0)
        with open(os.path.join(VENV, "done"), "w", encoding="ascii"):
            pass
    os.environ["BULLA_IN_VENV"] = "1"
    os.execv(python, [python, os.path.abspath(__file__)])


enter_venv()

import jwt  # noqa: E402

from attest_service import Service  # noqa: E402
from project import Tap  # noqa: E402

tap = Tap()
service = Service()


def verdict(*words):
    nonce = service.challenge()
    return service.verify(nonce, service.evidence.make("nonce=" + nonce, *words))[1]


def key():
    return jwt.PyJWKSet.from_dict(service.call("GET", "/.well-known/jwks.json")[1]).keys[0].key


@tap.case
def a_good_result_verifies():
    service.start()
    token = verdict()["token"]
    claims = jwt.decode(token, key(), algorithms=["ES256"], options={"require": ["exp", "iat"]})
    assert claims["submods"]["dev"]["ear.status"] == "contraindicated"  # a development TEE affirms nothing
    assert claims["submods"]["dev"]["bulla.factors"]["signature"] == "held"


@tap.case
def a_changed_result_does_not():
    header, payload, signature = verdict()["token"].split(".")
    other = verdict()["token"].split(".")[1]
    for bad in (f"{header}.{other}.{signature}", f"{header}.{payload}.{signature[:-4]}AAAA"):
        try:
            jwt.decode(bad, key(), algorithms=["ES256"])
        except jwt.InvalidSignatureError:
            continue
        raise AssertionError("a changed result verifies")


@tap.case
def a_refusal_is_signed_and_has_expired():
    token = verdict("flip=1")["token"]
    try:
        jwt.decode(token, key(), algorithms=["ES256"])
        raise AssertionError("a refusal is good for nothing, at no time")
    except jwt.ExpiredSignatureError:
        pass
    claims = jwt.decode(token, key(), algorithms=["ES256"], options={"verify_exp": False})
    assert [one["ear.status"] for one in claims["submods"].values()] == ["contraindicated"]


try:
    tap.main()
finally:
    service.__exit__()
