"""Hostile clients on bullad's socket: whatever one of them sends, the others are served, nothing leaks, nothing dies."""
import os
import random
import resource
import socket
import time

from frames import ERROR, HELLO, REPLY, Daemon, as_stranger, frame, hello, reply, take, varint
from project import Tap

START, WAIT, STATUS, PUT_MANIFEST, DRAIN = 16, 17, 28, 30, 31
HELLO_FRAME = hello()
tap = Tap()


class Bullad(Daemon):
    def __init__(self, files=None):
        self.files = files

    def arguments(self):
        self.path = self.dir + "/s"
        nowhere = f"unix:{self.dir}/nowhere"
        return ["bullad", "--state", self.dir + "/host", "--socket", self.path, "--broker", nowhere, "--broker-tls", nowhere,
                "--enclave", nowhere], self.path

    def dial(self, hello=True):
        return super().dial(self.path, HELLO_FRAME if hello else b"")

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def settled_fds(self):
        """When it has opened what it keeps open."""
        self.check()
        last = -1
        while last != self.fds():
            last = self.fds()
            time.sleep(0.3)
        return last

    def has_no_more_than(self, fds):
        """Its threads open files of their own for moments: what leaks, stays."""
        for _ in range(50):
            if self.fds() <= fds:
                return
            time.sleep(0.1)
        assert self.fds() <= fds, (self.fds(), fds)

    def check(self):
        """An honest client is served."""
        assert self.process.poll() is None, "bullad died"
        with self.dial() as s:
            s.sendall(frame(STATUS, stream=7))
            op, flags, stream, _ = reply(s)
            assert (op, flags & ERROR, stream) == (STATUS, 0, 7)


def is_closed(s):
    until = time.monotonic() + 5
    s.settimeout(5)
    try:
        while s.recv(65536):
            if time.monotonic() > until:
                return False  # still alive: it pings
    except ConnectionError:
        pass
    except socket.timeout:
        return False
    return True


@tap.case
def rubbish_ends_its_own_connection_only():
    with Bullad() as b:
        before = b.settled_fds()
        for bad in (b"GET / HTTP/1.1\r\n\r\n" * 4, b"\xff" * 64, frame(STATUS, version=9), frame(STATUS, flags=0x4000),
                    (262145).to_bytes(4, "little") + b"\x01\x1c\0\0\x01\0\0\0", HELLO_FRAME * 2):
            with b.dial(hello=bad is not HELLO_FRAME * 2) as s:
                s.sendall(bad)
                assert is_closed(s), bad
        b.check()
        b.has_no_more_than(before + 1)


@tap.case
def a_byte_at_a_time_is_served():
    with Bullad() as b, b.dial(hello=False) as s:
        for byte in HELLO_FRAME + frame(STATUS, stream=3):
            s.sendall(bytes([byte]))
        assert reply(s)[:3] == (STATUS, REPLY, 3)


@tap.case
def what_others_may_say_is_refused():
    with Bullad() as b, b.dial() as s:
        for op in (48, 49, 51, 53, 64, 66, 67, 80, 83, 200):
            s.sendall(frame(op, stream=op))
            got = reply(s)
            assert got[1] & ERROR and b"unsupported" in got[3], got
        b.check()


@tap.case
def bodies_of_every_length_and_kind():
    rng = random.Random(11)
    with Bullad() as b:
        for op in (16, 17, 18, 19, 25, 26, 28, 30):
            with b.dial() as s:
                for stream, size in enumerate(list(range(0, 80)) + [127, 128, 255, 256, 1000, 65535, 65536, 200000], 1):
                    body = rng.randbytes(size) if stream % 2 else b"\x0a" + varint(max(size - 2, 0)) + bytes(max(size - 2, 0))
                    s.sendall(frame(op, body, stream=stream))
                    assert reply(s)[2] == stream
        b.check()


@tap.case
def more_requests_than_the_window_end_the_connection():
    with Bullad() as b:
        run = b"\x0a\x10" + b"\x07" * 16
        with b.dial() as s:
            try:
                s.sendall(b"".join(frame(WAIT, run, stream=stream) for stream in range(1, 5000)))
            except OSError:
                pass
        b.check()


@tap.case
def a_slow_reader_holds_up_itself_only():
    with Bullad() as b:
        slow = b.dial()
        slow.setblocking(False)
        try:
            for stream in range(1, 250):
                slow.send(frame(STATUS, stream=stream))
        except (BlockingIOError, ConnectionError):
            pass
        for _ in range(5):
            b.check()
        slow.close()
        b.check()


@tap.case
def connections_beyond_the_limit_are_closed():
    with Bullad() as b:
        before = b.settled_fds()
        many = []
        for _ in range(1100):
            try:
                many.append(b.dial())
            except OSError:
                break
        for s in many:
            s.close()
        b.has_no_more_than(before + 1)
        b.check()


def occupy(b, many):
    """Every place that clients can have."""
    for _ in range(1100):
        try:
            many.append(b.dial())
        except OSError:
            break


def was_dialled(listener):
    listener.settimeout(5)
    try:
        s, _ = listener.accept()
        s.settimeout(5)
        with s:
            return take(s, 12)[5] == HELLO
    except (socket.timeout, EOFError, ConnectionError):
        return False


@tap.case
def enclaves_have_places_that_no_client_takes():
    with Bullad() as b, socket.socket(socket.AF_UNIX) as enclave:
        many = []
        occupy(b, many)
        enclave.bind(b.dir + "/nowhere")
        enclave.listen(8)
        assert was_dialled(enclave)
        for s in many:
            s.close()
        b.check()


@tap.case
def another_user_does_not_administer():
    with Bullad() as b:
        b.check()
        os.chmod(b.dir, 0o755)
        os.chmod(b.path, 0o666)
        with as_stranger(b.dial) as s:
            s.sendall(frame(STATUS, stream=3))
            assert reply(s)[:3] == (STATUS, REPLY, 3)
            for op in (DRAIN, PUT_MANIFEST):
                s.sendall(frame(op, stream=op))
                answer = reply(s)
                assert answer[:3] == (op, REPLY | ERROR, op) and b"admin-only" in answer[3], answer
        with b.dial() as s:
            s.sendall(frame(DRAIN, stream=4))
            assert reply(s)[:3] == (DRAIN, REPLY, 4)


@tap.case
def the_usual_limit_of_files_is_enough():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for files in ((256, hard), (256, 256)):
        with Bullad(files) as b, socket.socket(socket.AF_UNIX) as enclave:
            many = []
            occupy(b, many)
            enclave.bind(b.dir + "/nowhere")
            enclave.listen(8)
            assert was_dialled(enclave), files
            before = sum(map(int, open(f"/proc/{b.process.pid}/stat").read().split(")")[1].split()[11:13]))
            time.sleep(1)
            after = sum(map(int, open(f"/proc/{b.process.pid}/stat").read().split(")")[1].split()[11:13]))
            assert after - before < 50, f"{after - before} ticks of CPU in a second of nothing"
            for s in many:
                s.close()
            b.check()


tap.main()
