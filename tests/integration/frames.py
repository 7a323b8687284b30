"""Frames as our programs speak them (doc/PROTOCOL.md), and one of the programs on its own. Not a test itself."""
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from project import BUILD, Skip

HELLO = 1
CLIENT, HOST = 1, 2
REPLY, ERROR = 1, 2


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def frame(op, body=b"", flags=0, stream=1, version=1):
    return len(body).to_bytes(4, "little") + bytes([version, op]) + flags.to_bytes(2, "little") + stream.to_bytes(4, "little") + body


def hello(role=CLIENT, window=1):
    return frame(HELLO, b"\x08\x01\x10" + bytes([role]) + b"\x1a\x10" + bytes(range(1, 17)) + b"\x20" + varint(window), stream=0)


def take(s, n):
    data = b""
    while len(data) < n:
        some = s.recv(n - len(data))
        if not some:
            raise EOFError
        data += some
    return data


def reply(s):
    """The next frame that is no HELLO and no PING: op, flags, stream, body."""
    while True:
        head = take(s, 12)
        body = take(s, int.from_bytes(head[:4], "little"))
        flags = int.from_bytes(head[6:8], "little")
        if flags & REPLY:
            return head[5], flags, int.from_bytes(head[8:12], "little"), body


class Daemon:
    """One program in a folder of its own, self.dir, until `with` ends; it must end on SIGTERM. files: its RLIMIT_NOFILE."""
    files = None

    def arguments(self):
        """The command line, and the socket that it makes last."""
        raise NotImplementedError

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="bulla-socket-")
        (name, *words), made = self.arguments()
        self.process = subprocess.Popen([os.path.join(BUILD, "src/cmd", name), *words], stderr=subprocess.DEVNULL, preexec_fn=
                                        self.files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, self.files)))
        for _ in range(400):
            if os.path.exists(made):
                break
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(15) == 0, "it does not end on SIGTERM"
        finally:
            self.process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)

    def dial(self, path, first=b""):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        for _ in range(400):
            try:
                s.connect(path)
                break
            except (BlockingIOError, ConnectionRefusedError):  # its backlog is full, or it does not listen yet
                time.sleep(0.05)
        else:
            s.connect(path)
        s.sendall(first)
        return s


def as_stranger(dial):
    """A connection of another user's; root can be one."""
    if os.geteuid() != 0:
        raise Skip("only root can be another user")
    os.seteuid(65534)
    try:
        return dial()
    finally:
        os.seteuid(0)


class Owner:
    """The owner's frames on a socket of a project that runs: the broker's, or the engine's."""

    def __init__(self, project, name="broker.sock"):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(os.path.join(project.env["XDG_RUNTIME_DIR"], "bulla", project.name, name))
        self.sock.sendall(hello(window=4))

    def call(self, op, body=b"", stream=1):
        self.sock.sendall(frame(op, body, stream=stream))
        answered, flags, _, body = reply(self.sock)
        assert answered == op, (answered, op, body)
        return flags, body
