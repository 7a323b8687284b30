"""Hostile hosts on the broker's socket, hostile clients on its TLS socket: whatever one sends, the others are served, nothing dies."""
import json
import os
import random
import subprocess
import tempfile

from frames import CLIENT, ERROR, HOST, Daemon, as_stranger, frame, hello, reply
from project import BUILD, Tap

KEYS, PUT_MANIFEST, REVOKE, ADVANCE, SYNC, RECORD, DEMAND = 26, 30, 23, 64, 66, 68, 69
tap = Tap()


def says_not_found(s):
    """There is no manifest, and it says so."""
    got = b""
    while b"not-found" not in got:
        some = s.recv(65536)
        assert some, got
        got += some


class Broker(Daemon):
    def arguments(self):
        self.path, self.tls = self.dir + "/s", self.dir + "/t"
        return ["bulla-kms", "--state", self.dir + "/broker", "--socket", self.path, "--tls-socket", self.tls], self.tls

    def check(self):
        """It still answers."""
        with self.dial(self.path, hello() + frame(KEYS)) as s:
            says_not_found(s)
        assert self.process.poll() is None


def send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass  # it closed the connection: that is an answer


@tap.case
def reference_values_that_cannot_be_read_are_said_at_start():
    """Before its state is made: a broker without them would ask less."""
    with tempfile.TemporaryDirectory(prefix="bulla-socket-") as folder:
        good = {"v": 1, "tee": ["sev-snp"], "assurance": "hardware", "images": [{"measurement": "ab" * 48}]}
        for text, why in (("", "truncated"), ("[]", "format"), (json.dumps({**good, "images": []}), "no image"),
                          (json.dumps({**good, "tee": ["abacus"]}), "unknown name"), (json.dumps({**good, "v": 2}), "version"), (None, "not-found")):
            path = os.path.join(folder, "reference")
            if text is None:
                os.remove(path)
            else:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([os.path.join(BUILD, "src/cmd/bulla-kms"), "--state", folder + "/state", "--socket", folder + "/s",
                                   "--reference", path], capture_output=True, text=True, timeout=20)
            assert done.returncode == 1 and path in done.stderr and why in done.stderr and "bulla attest reference" in done.stderr, done
            assert not os.path.exists(folder + "/state"), "it began"


@tap.case
def rubbish_of_every_length_ends_its_own_connection():
    rng = random.Random(3)
    with Broker() as b:
        for path in (b.path, b.tls):
            for n in list(range(0, 64)) + [255, 4096, 70000]:
                s = b.dial(path)
                send(s, bytes(rng.randrange(256) for _ in range(n)))
                s.close()
        b.check()


@tap.case
def bodies_of_every_operation_and_length():
    rng = random.Random(4)
    with Broker() as b:
        for role in (CLIENT, HOST):
            for op in (KEYS, PUT_MANIFEST, REVOKE, ADVANCE, SYNC, RECORD, 80, 81, 82, 83, 200):
                s = b.dial(b.path, hello(role))
                for n in list(range(0, 40)) + [1000, 60000]:
                    send(s, frame(op, bytes(rng.randrange(256) for _ in range(n)), stream=2 * n + 1))
                s.close()
            b.check()


@tap.case
def another_user_is_no_host():
    with Broker() as b:
        b.check()
        os.chmod(b.dir, 0o755)
        os.chmod(b.path, 0o666)
        for role, op, mine in ((HOST, ADVANCE, b""), (HOST, SYNC, b""), (CLIENT, DEMAND, b"")):
            with as_stranger(lambda role=role: b.dial(b.path, hello(role))) as s:
                s.sendall(frame(op, stream=3))
                answer = reply(s)
                assert answer[1] & ERROR and b"admin-only" in answer[3], answer
            with b.dial(b.path, hello(role)) as s:
                s.sendall(frame(op, mine, stream=3))
                assert b"admin-only" not in reply(s)[3]
        with as_stranger(lambda: b.dial(b.path, hello())) as s:
            s.sendall(frame(KEYS))
            says_not_found(s)


@tap.case
def a_byte_at_a_time_and_no_reader():
    with Broker() as b:
        slow = b.dial(b.path, hello(HOST))
        slow.setblocking(False)
        for stream in range(1, 40001, 2):  # answers that nobody reads
            try:
                slow.send(frame(SYNC, stream=stream))
            except OSError:
                break
        s = b.dial(b.path)
        for byte in hello() + frame(KEYS):
            s.sendall(bytes([byte]))
        says_not_found(s)
        b.check()
        slow.close()


tap.main()
