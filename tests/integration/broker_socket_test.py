"""Hostile hosts on the broker's socket, hostile clients on its TLS socket: whatever one sends, the others are served, nothing dies."""
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from project import BUILD, Tap

HELLO, KEYS, PUT_MANIFEST, REVOKE, ADVANCE, SYNC, RECORD = 1, 26, 30, 23, 64, 66, 68
tap = Tap()


def frame(op, body=b"", flags=0, stream=1, version=1):
    return len(body).to_bytes(4, "little") + bytes([version, op]) + flags.to_bytes(2, "little") + stream.to_bytes(4, "little") + body


def hello(role):
    return frame(HELLO, b"\x08\x01\x10" + bytes([role]) + b"\x1a\x10" + bytes(range(1, 17)) + b"\x20\x01", stream=0)


class Broker:
    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="bulla-broker-")
        self.path, self.tls = self.dir + "/s", self.dir + "/t"
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "src/cmd/bulla-kms"), "--state", self.dir + "/broker", "--socket", self.path, "--tls-socket",
             self.tls], stderr=subprocess.DEVNULL)
        for _ in range(400):
            if os.path.exists(self.tls):
                break
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(15) == 0, "bulla-kms does not end on SIGTERM"
        finally:
            self.process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)

    def dial(self, path, first=b""):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(path)
        s.sendall(first)
        return s

    def check(self):
        """It still answers: there is no manifest, and it says so."""
        s = self.dial(self.path, hello(1) + frame(KEYS))
        got = b""
        while b"not-found" not in got:
            some = s.recv(65536)
            assert some, got
            got += some
        s.close()
        assert self.process.poll() is None


def send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass  # it closed the connection: that is an answer


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
        for role in (1, 2):
            for op in (KEYS, PUT_MANIFEST, REVOKE, ADVANCE, SYNC, RECORD, 80, 81, 82, 83, 200):
                s = b.dial(b.path, hello(role))
                for n in list(range(0, 40)) + [1000, 60000]:
                    send(s, frame(op, bytes(rng.randrange(256) for _ in range(n)), stream=2 * n + 1))
                s.close()
            b.check()


@tap.case
def a_byte_at_a_time_and_no_reader():
    with Broker() as b:
        slow = b.dial(b.path, hello(2))
        slow.setblocking(False)
        for stream in range(1, 40001, 2):  # answers that nobody reads
            try:
                slow.send(frame(SYNC, stream=stream))
            except OSError:
                break
        s = b.dial(b.path)
        for byte in hello(1) + frame(KEYS):
            s.sendall(bytes([byte]))
        got = b""
        while b"not-found" not in got:
            some = s.recv(65536)
            assert some, got
            got += some
        b.check()
        slow.close()


tap.main()
