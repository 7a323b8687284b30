"""`bulla attest serve` as a program under test, and evidence for it. Not a test itself."""
import base64
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

BUILD = os.path.abspath(os.environ.get("BULLA_BUILD", "build"))


class Evidence:
    """Documents of a development root in a folder of its own (tests/integration/evidence.c)."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.maker = subprocess.Popen([os.path.join(BUILD, "tests/integration/evidence"), folder], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.make()  # also makes the root

    def make(self, *words):
        self.maker.stdin.write(" ".join(["doc", "key=none", "pcr0=" + "22" * 48, *words]) + "\n")
        self.maker.stdin.flush()
        return self.maker.stdout.readline().strip()

    def close(self):
        self.maker.stdin.close()
        self.maker.wait(10)


class Service:
    """The service on a port of its own; `with Service() as s:`"""

    def __init__(self, *options, plain=False, policy=("--any-code",)):
        self.work = tempfile.mkdtemp(prefix="bulla-test-")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BULLA_"))}
        self.env.update(HOME=self.work, XDG_CONFIG_HOME=self.work + "/config", XDG_STATE_HOME=self.work + "/s",
                        XDG_RUNTIME_DIR=self.work + "/r", NO_COLOR="1")
        self.bulla = os.path.join(BUILD, "src/cmd/bulla")
        self.evidence = Evidence(self.work + "/pki")
        self.plain = plain
        self.options = ["--key", self.work + "/service.key", "--anchor", self.work + "/pki/root.der", *policy, *options]
        if plain:
            self.options.append("--plain")

    def start(self, address="127.0.0.1:0"):
        self.process = subprocess.Popen([self.bulla, "attest", "serve", address, *self.options], env=self.env, cwd=self.work,
                                        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.line = self.process.stdout.readline()
        assert self.line.startswith("listening on port "), self.line + self.process.stderr.read()
        self.port = int(self.line.split()[3].rstrip(","))
        self.pin = self.line.rsplit("sha256:", 1)[1].strip() if "sha256:" in self.line else None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        self.evidence.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(10)

    def socket(self):
        """A connected socket, TLS with the announced key unless plain."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        if self.plain:
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        tls = context.wrap_socket(sock)
        der = tls.getpeercert(binary_form=True)
        public = subprocess.run(["openssl", "x509", "-inform", "DER", "-pubkey", "-noout"], input=der, capture_output=True,
                                check=True).stdout
        spki = base64.b64decode(b"".join(public.splitlines()[1:-1]))
        assert hashlib.sha256(spki).hexdigest() == self.pin, "another server"
        return tls

    def call(self, method, path, body=None, connection=None):
        """(status, JSON of the answer)"""
        own = connection or self.connect()
        own.request(method, path, body=json.dumps(body) if isinstance(body, dict) else body)
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        return answer.status, json.loads(text)

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.sock = self.socket()
        return connection

    def challenge(self):
        status, answer = self.call("POST", "/challenge")
        assert status == 200, answer
        return answer["challenge"]

    def verify(self, challenge, evidence, **more):
        return self.call("POST", "/verify", {"challenge": challenge, "evidence": evidence, **more})
