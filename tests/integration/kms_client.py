"""A client of the KMS API as AWS's clients are: SigV4 made here from the specification, JSON 1.1, Recipient. Evidence comes
from the project's development root by the helper `evidence`. Used by kms_test and bench/rows.py; not a test itself."""
import copy
import datetime
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import subprocess

from project import BUILD


class Connection(http.client.HTTPConnection):
    """HTTP over TLS 1.3 over the broker's unix socket."""

    def __init__(self, path, alpn="http/1.1"):
        super().__init__("localhost")
        self.path = path
        self.alpn = alpn

    def connect(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([self.alpn])
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(20)
        plain.connect(self.path)
        self.sock = context.wrap_socket(plain)


def sign(headers, body, access, secret, when):
    """AWS Signature Version 4 with all headers signed."""
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    headers = {**headers, "x-amz-date": stamp}
    names = ";".join(sorted(headers))
    canonical = "POST\n/\n\n" + "".join(f"{n}:{headers[n]}\n" for n in sorted(headers)) + f"\n{names}\n" + \
        hashlib.sha256(body).hexdigest()
    scope = f"{stamp[:8]}/us-east-1/kms/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, "
                                f"Signature={signature}")
    return headers


class Client:
    """A client of a project's broker, which runs."""

    def __init__(self, project):
        broker = os.path.join(project.state, "broker")
        with open(os.path.join(broker, "admin.json"), encoding="utf-8") as file:
            self.admin = json.load(file)
        self.audit_path = os.path.join(broker, "audit.jsonl")
        self.socket = os.path.join(project.env["XDG_RUNTIME_DIR"], "bulla", project.name, "broker-tls.sock")
        self.connection = Connection(self.socket)

    def audit(self):
        with open(self.audit_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def call(self, operation, body, signed=False, access=None, secret=None, age=0, target="TrentService."):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/x-amz-json-1.1", "host": "localhost",
                   "x-amz-target": target + operation}
        if signed:
            when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
            headers = sign(headers, body, access or self.admin["access_key"], secret or self.admin["secret_key"], when)
        self.connection.request("POST", "/", body, headers)
        response = self.connection.getresponse()
        content = response.read()
        answer = json.loads(content) if content else {}
        if response.status == 200:
            return answer
        return response.status, answer["__type"], response.headers["x-bulla-error"]


class Kms(Client):
    """The same with evidence of the development TEE; brings the project up. `close` ends the helper."""

    def __init__(self, project):
        project.run("up", check=0)
        super().__init__(project)
        self.helper = subprocess.Popen([os.path.join(BUILD, "tests/integration/evidence"), project.state + "/platform"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        birth = next(e for e in self.audit() if e["eventName"] == "GenerateDataKey" and "errorCode" not in e)
        self.key = birth["requestParameters"]["keyId"]
        self.context = birth["requestParameters"]["encryptionContext"]
        recipient = birth["additionalEventData"]["recipient"]
        self.pcrs = {"pcr0": recipient["attestationDocumentEnclaveImageDigest"],
                     **{f"pcr{i}": recipient[f"attestationDocumentEnclavePCR{i}"] for i in (1, 2, 16, 17)}}

    def doc(self, **words):
        words = {**self.pcrs, **words}
        self.helper.stdin.write("doc " + " ".join(f"{k}={v}" for k, v in words.items()) + "\n")
        self.helper.stdin.flush()
        text = self.helper.stdout.readline().strip()
        assert not text.startswith("error"), text
        return text

    def open(self, sealed):
        self.helper.stdin.write(f"open {sealed}\n")
        self.helper.stdin.flush()
        return self.helper.stdout.readline().strip()

    def generate(self, document=None, **more):
        body = {"KeyId": self.key, "KeySpec": "AES_256", "EncryptionContext": self.context, **more}
        if document is not None:
            body["Recipient"] = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}
        return self.call("GenerateDataKey", body)

    def decrypt(self, blob, document, **more):
        return self.call("Decrypt", {"CiphertextBlob": blob, "EncryptionContext": self.context, "Recipient": {
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}, **more})

    def twin(self):
        """The same client on a connection of its own."""
        other = copy.copy(self)
        other.connection = Connection(self.socket)
        return other

    def close(self):
        self.helper.stdin.close()
        self.helper.wait(10)
