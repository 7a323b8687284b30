"""`bulla attest serve`: the attestation service over TLS and plain, with clients that behave and clients that do not."""
import base64
import json
import os
import signal
import socket
import subprocess
import time

import ear
from attest_cases import Case, write
from attest_service import Service
from project import Tap

tap = Tap()
tls = Service()
plain = Service(plain=True)
SUBJECT = "ab" * 32


def read_answer(sock):
    data = b""
    while True:
        try:
            some = sock.recv(65536)
        except ConnectionResetError:
            some = b""
        if not some:
            return data
        data += some


def raw(text, half_close=False, service=plain):
    with service.socket() as sock:
        sock.sendall(text)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return read_answer(sock)


@tap.case
def it_starts_and_says_its_key():
    tls.start()
    plain.start()
    assert tls.pin and len(tls.pin) == 64 and ", plain" in plain.line
    for service in (tls, plain):
        status, health = service.call("GET", "/healthz")
        assert status == 200 and health["status"] == "ok", health
    assert tls.call("GET", "/references") == (200, {"references": None})
    status, keys = tls.call("GET", "/.well-known/jwks.json")
    assert status == 200 and keys["keys"][0]["crv"] == "P-256" and "d" not in keys["keys"][0]


@tap.case
def good_evidence_is_accepted_once():
    nonce = tls.challenge()
    evidence = tls.evidence.make("nonce=" + nonce)
    status, verdict = tls.verify(nonce, evidence, subject=SUBJECT)
    assert status == 200 and verdict["verdict"] == "accepted" and verdict["assurance"] == "dev", verdict
    payload = verdict["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["exp"] > time.time() and claims["eat_nonce"], claims
    assert tls.call("GET", "/holds/" + SUBJECT) == (200, {"holds": "yes", "error": ""})
    # the challenge is used up: the very same evidence again
    status, verdict = tls.verify(nonce, evidence, subject=SUBJECT)
    assert status == 200 and (verdict["verdict"], verdict["error"], verdict["token"]) == ("refused", "challenge-not-open", "")
    assert "used before" in verdict["text"] and verdict["factor"] == "" and "byte" not in verdict, verdict
    status, verdict = tls.verify("00" * 32, evidence)
    assert (verdict["verdict"], verdict["error"]) == ("refused", "challenge-not-open"), verdict
    # an old document under a fresh challenge
    status, verdict = tls.verify(tls.challenge(), evidence, subject=SUBJECT)
    assert verdict["verdict"] == "refused" and verdict["error"] == "binder-mismatch" and verdict["factor"], verdict
    # and with that its appraisal turned bad
    assert tls.call("GET", "/holds/" + SUBJECT) == (200, {"holds": "no", "error": "binder-mismatch"})


@tap.case
def bad_evidence_is_refused_with_its_factor():
    for words, error in (("flip=1", "evidence-signature"), ("root=other", "evidence-chain"), ("age=400", "evidence-stale")):
        nonce = tls.challenge()
        status, verdict = tls.verify(nonce, tls.evidence.make("nonce=" + nonce, words))
        assert status == 200 and verdict["verdict"] == "refused" and verdict["error"] == error, (words, verdict)
        assert verdict["factor"] and verdict["token"].count(".") == 2
        assert verdict["text"] and isinstance(verdict["byte"], int), verdict


@tap.case
def results_come_as_cwt_too():
    nonce = tls.challenge()
    status, verdict = tls.verify(nonce, tls.evidence.make("nonce=" + nonce), format="cwt")
    assert status == 200, verdict
    cwt = base64.b64decode(verdict["token"])
    public = ear.public_of_jwk(tls.call("GET", "/.well-known/jwks.json")[1]["keys"][0])
    assert ear.read_cwt(cwt, public)["eat_nonce"] == base64.urlsafe_b64encode(bytes.fromhex(nonce)).decode().rstrip("="), cwt
    other = tls.challenge()
    jwt = tls.verify(other, tls.evidence.make("nonce=" + other))[1]["token"]
    nonces = [base64.urlsafe_b64encode(bytes.fromhex(n)).rstrip(b"=") for n in (nonce, other)]
    claims, others = ear.read_jwt(jwt, public), ear.read_cwt(cwt, public)
    assert [others.pop("eat_nonce").encode(), claims.pop("eat_nonce").encode()] == nonces
    assert all(0 <= claims.pop(name) - others.pop(name) < 60 for name in ("iat", "exp")) and claims == others, (claims, others)


@tap.case
def nonsense_gets_its_status():
    assert tls.call("GET", "/nothing")[0] == 404
    assert tls.call("GET", "/verify")[0] == 405
    assert tls.call("POST", "/healthz")[0] == 405
    for body in (b"", b"{", b"[]", b'{"challenge": 3}', b'{"challenge":"00","evidence":""}', b"\xff" * 100):
        assert tls.call("POST", "/verify", body)[0] == 400, body
    good = {"challenge": "00" * 32, "evidence": "AAAA"}
    for member, value in (("challenge", "zz"), ("evidence", "!!!"), ("subject", "00"), ("format", "xml"), ("collateral", ["!"])):
        status, answer = tls.call("POST", "/verify", json.dumps({**good, member: value}).encode())
        assert status == 400 and answer["member"] == member and answer["text"], (member, answer)
    status, answer = tls.call("POST", "/verify", json.dumps({**good, "policy": 1}).encode())
    assert status == 400 and answer["error"] == "unsupported" and "none of challenge" in answer["member"], answer
    assert tls.call("GET", "/holds/zz")[0] == 400
    assert raw(b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(b"GET /healthz HTTP/2.0\r\n\r\n").startswith(b"HTTP/1.1 505 ")
    assert raw(b"POST /verify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").startswith(b"HTTP/1.1 501 ")


@tap.case
def what_is_too_large_is_refused_before_it_comes():
    assert raw(b"POST /verify HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert raw(b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    # just not too large: nonsense, but read to its end
    body = b" " * 1048576
    assert raw(b"POST /verify HTTP/1.1\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n" + body).startswith(b"HTTP/1.1 400 ")


@tap.case
def a_half_closed_client_gets_its_answer():
    assert raw(b"GET /healthz HTTP/1.1\r\n\r\n", half_close=True).startswith(b"HTTP/1.1 200 ")
    assert raw(b"GET /healthz HTT", half_close=True) == b""


@tap.case
def many_requests_on_one_connection():
    connection = tls.connect()
    for _ in range(50):
        assert tls.call("GET", "/healthz", connection=connection)[0] == 200
    connection.close()
    assert raw(b"GET /healthz HTTP/1.1\r\n\r\n" * 20 + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").count(b"HTTP/1.1 200 ") == 21


@tap.case
def clients_that_vanish_do_not_kill_it():
    for _ in range(20):
        sock = plain.socket()
        sock.sendall(b"GET /references HTTP/1.1\r\n\r\n" * 200)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset instead of end
        sock.close()
    assert plain.call("GET", "/healthz")[0] == 200
    assert plain.process.poll() is None


@tap.case
def slow_clients_hold_up_only_themselves():
    begin = time.monotonic()
    slow = plain.socket()
    slow.settimeout(0.2)
    ended = answer = b""
    worst = 0.0
    while time.monotonic() - begin < 60 and not ended:
        try:
            slow.sendall(b"G")  # never a whole request
            ended = slow.recv(65536)
        except socket.timeout:
            pass
        except OSError:
            ended = b"reset"
        asked = time.monotonic()
        assert plain.call("GET", "/healthz")[0] == 200
        worst = max(worst, time.monotonic() - asked)
    slow.close()
    took = time.monotonic() - begin
    assert 14 < took < 40 and (ended.startswith(b"HTTP/1.1 408 ") or ended.startswith(b"HTTP/1.1 4")), (took, ended)
    assert worst < 5, worst


@tap.case
def too_many_connections_are_turned_away():
    socks = []
    for _ in range(300):
        socks.append(socket.create_connection(("127.0.0.1", plain.port), timeout=5))
    turned_away, until = set(), time.monotonic() + 12  # silent ones go after 15 s, too
    while len(turned_away) < 44 and time.monotonic() < until:
        time.sleep(0.1)
        for sock in set(socks) - turned_away:
            sock.setblocking(False)
            try:
                if sock.recv(1) == b"":
                    turned_away.add(sock)
            except BlockingIOError:
                pass
            except ConnectionResetError:
                turned_away.add(sock)
    for sock in socks:
        sock.close()
    assert 44 <= len(turned_away) <= 60, len(turned_away)
    served = 0
    while served != 200 and time.monotonic() < until:  # as soon as it has seen that they went
        try:
            served = plain.call("GET", "/healthz")[0]
        except OSError:
            time.sleep(0.1)
    assert served == 200


@tap.case
def new_reference_values_make_everybody_attest_again():
    path = plain.work + "/reference.json"

    def values(first):
        with open(path, "w", encoding="ascii") as file:
            json.dump({"v": 1, "tee": ["dev"], "assurance": "dev", "images": [{"pcr1": first}]}, file)

    values("11" * 48)
    assert plain.stop() == 0
    plain.options = [o for o in plain.options if o != "--any-code"] + ["--reference", path]
    plain.start()
    nonce = plain.challenge()
    good = ["pcr1=" + "11" * 48]
    status, verdict = plain.verify(nonce, plain.evidence.make("nonce=" + nonce, *good), subject=SUBJECT)
    assert verdict["verdict"] == "accepted", verdict
    assert plain.call("GET", "/references")[1]["references"]["images"] == [{"pcr1": "11" * 48}]
    values("33" * 48)
    plain.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while plain.call("GET", "/holds/" + SUBJECT)[1]["holds"] == "yes" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert plain.call("GET", "/holds/" + SUBJECT)[1] == {"holds": "no", "error": "evidence-stale"}
    nonce = plain.challenge()
    status, verdict = plain.verify(nonce, plain.evidence.make("nonce=" + nonce, *good), subject=SUBJECT)
    assert (verdict["verdict"], verdict["error"]) == ("refused", "measurement-mismatch"), verdict


@tap.case
def a_key_is_made_found_again_or_brought():
    """No project is needed: the first start makes the key, the next one finds it, and openssl's does as well."""
    made = plain.work + "/service.key"
    assert os.stat(made).st_mode & 0o777 == 0o600
    for name, command in (("own.der", ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER"]),
                          ("other.der", ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-outform", "DER"])):
        done = subprocess.run([*command, "-out", f"{plain.work}/{name}.sec1"], capture_output=True)
        if done.returncode == 0:
            done = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER", "-in",
                                   f"{plain.work}/{name}.sec1", "-out", f"{plain.work}/{name}"], capture_output=True)
        assert done.returncode == 0, done.stderr
    before = plain.call("GET", "/.well-known/jwks.json")
    plain.stop(signal.SIGTERM)
    plain.start()
    assert plain.call("GET", "/.well-known/jwks.json") == before
    plain.stop(signal.SIGTERM)
    whole = plain.options
    plain.options = [f"{plain.work}/own.der" if word == made else word for word in whole]
    plain.start()
    assert plain.call("GET", "/.well-known/jwks.json") != before
    plain.stop(signal.SIGTERM)
    plain.options = whole
    for name in ("other.der", "pki/root.der"):
        refused = subprocess.run([plain.bulla, "attest", "serve", "127.0.0.1:0", "--plain", "--any-code", "--key", f"{plain.work}/{name}"],
                                 env=plain.env, cwd=plain.work, text=True, capture_output=True, timeout=20)
        assert refused.returncode != 0 and "error[" in refused.stderr, refused
    plain.start()


@tap.case
def it_refuses_to_be_plain_where_others_listen():
    for address, options, code in (("0.0.0.0:0", [*plain.options], 2), ("127.0.0.1:0", ["--plain", "--any-code"], 2),
                                   ("127.0.0.1:0", [*tls.options, "--tls-key", "x"], 2), ("nowhere", tls.options, 2)):
        result = subprocess.run([plain.bulla, "attest", "serve", address, *options], env=plain.env, cwd=plain.work, text=True,
                                capture_output=True, timeout=20)
        assert result.returncode == code and "error[" in result.stderr, (address, options, result)


@tap.case
def devices_keys_are_anchors_too():
    """The key that a committed case's devices are endorsed by, given as for `verify`: then only the challenge is not the token's."""
    for family in ("psa", "cca"):
        case = Case(family + "-held")
        with Service("--anchor", write(family + "-key", case.anchor()), plain=True) as service:
            status, verdict = service.verify(service.challenge(), base64.b64encode(case.evidence).decode())
            assert status == 200 and (verdict["verdict"], verdict["factor"]) == ("refused", "binder"), verdict
        with Service(plain=True) as service:  # without it nobody's word counts
            assert service.verify(service.challenge(), base64.b64encode(case.evidence).decode())[1]["factor"] == "anchor"


@tap.case
def it_ends_when_it_is_told_to():
    held = tls.socket()  # somebody is connected
    assert tls.stop(signal.SIGTERM) == 0
    held.close()
    assert plain.stop(signal.SIGINT) == 0


try:
    tap.main()
finally:
    for one in (tls, plain):
        if hasattr(one, "process"):
            one.__exit__()
