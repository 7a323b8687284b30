"""bulla-kms under AWS's own clients: the SDKs for Go and for JavaScript and the command line, with and without `Recipient`. The
attestation documents come from the project's development root; what comes back is opened with the key they name."""
import base64
import json
import os
import shutil
import socket
import subprocess
import sys

import others
from kms_client import Kms
from project import Project, Skip, Tap

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = others.BUILD
tap = Tap()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
project = Project("hello", f"project: kmstest\nagents: {{a: cat}}\nworkflows: {{w: [a]}}\nbroker: {{port: {PORT}}}\n")
kms = None


def folder(name):
    """A copy of the client's source in the build folder, where it may fetch and build."""
    path = os.path.join(BUILD, "real", name)
    os.makedirs(path, exist_ok=True)
    for file in os.listdir(os.path.join(HERE, name)):
        shutil.copy(os.path.join(HERE, name, file), path)
    return path


def fetch(path, *command):
    """Skips the case, loudly, where the client cannot be had."""
    try:
        got = subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skip(error) from None
    if got.returncode != 0:
        raise Skip(f"{' '.join(command)}: {((got.stderr or got.stdout).strip().splitlines() or ['?'])[-1]}")


def client(path, *command):
    """What the client saw of a key of its own and of an agent's key."""
    asked = {"endpoint": f"https://127.0.0.1:{PORT}", "region": kms.admin["region"], "access_key": kms.admin["access_key"],
             "secret_key": kms.admin["secret_key"], "key": kms.key, "context": kms.context, "documents": [kms.doc(), kms.doc()]}
    got = subprocess.run(command, cwd=path, input=json.dumps(asked), capture_output=True, text=True, timeout=60,
                         env={**os.environ, "NODE_TLS_REJECT_UNAUTHORIZED": "0"})
    assert got.returncode == 0, got.stdout + got.stderr
    return json.loads(got.stdout)


def check(said):
    assert said["created"].startswith("arn:aws:kms:") and said["opened"] == "plain text", said
    assert said["without"] == "AccessDeniedException" and said["replayed"] == "AccessDeniedException", said
    assert said["plaintexts"] == 0, "a plain key came with one for the recipient"
    seed = kms.open(said["born"])
    assert len(seed) == 64 and kms.open(said["again"]) == seed, "the two do not open to one seed"
    calls = [(e["eventName"], e.get("errorMessage")) for e in kms.audit()[-8:]]
    assert ("GenerateDataKey", "evidence-missing") in calls and ("Decrypt", "evidence-replayed") in calls, calls


@tap.case
def up():
    global kms
    kms = Kms(project)


@tap.case
def aws_sdk_for_go():
    path = folder("kms_go")
    fetch(path, "go", "build", "-o", "kms_go", ".")
    check(client(path, os.path.join(path, "kms_go")))


@tap.case
def aws_sdk_for_javascript():
    path = folder("kms_js")
    if shutil.which("node") is None:
        raise Skip("there is no node here")
    if not os.path.exists(os.path.join(path, "node_modules/@aws-sdk/client-kms")):
        fetch(path, "npm", "install", "--no-audit", "--no-fund", "--silent", "--no-package-lock")
    check(client(path, "node", "kms.mjs"))


class Cli:
    def __init__(self):
        made = others.make("awscli==1.46.3")
        if made is None:
            raise Skip("the AWS command line cannot be installed")
        self.aws = os.path.join(made, "bin", "aws")
        self.env = {**os.environ, "AWS_ACCESS_KEY_ID": kms.admin["access_key"], "AWS_SECRET_ACCESS_KEY": kms.admin["secret_key"],
                    "AWS_DEFAULT_REGION": kms.admin["region"], "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull,
                    "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

    def run(self, *args):
        got = subprocess.run([self.aws, "--endpoint-url", f"https://127.0.0.1:{PORT}", "--no-verify-ssl", "kms", *args], env=self.env,
                             capture_output=True, text=True, timeout=60)
        return json.loads(got.stdout) if got.returncode == 0 else got.stderr

    def file(self, name, base64_text):
        path = os.path.join(project.work, name)
        with open(path, "wb") as out:
            out.write(base64.b64decode(base64_text))
        return "fileb://" + path

    def recipient(self):
        return f"KeyEncryptionAlgorithm=RSAES_OAEP_SHA_256,AttestationDocument@={self.file('doc', kms.doc())}"


@tap.case
def aws_command_line():
    cli = Cli()
    context = json.dumps(kms.context)
    made = cli.run("create-key", "--description", "from the command line")["KeyMetadata"]["Arn"]
    sealed = cli.run("encrypt", "--key-id", made, "--plaintext", "plain text")["CiphertextBlob"]
    opened = cli.run("decrypt", "--ciphertext-blob", cli.file("blob", sealed))["Plaintext"]
    without = cli.run("generate-data-key", "--key-id", kms.key, "--key-spec", "AES_256", "--encryption-context", context)
    assert "AccessDeniedException" in without, without
    born = cli.run("generate-data-key", "--key-id", kms.key, "--key-spec", "AES_256", "--encryption-context", context,
                   "--recipient", cli.recipient())
    assert isinstance(born, dict), born
    decrypt = ("decrypt", "--ciphertext-blob", cli.file("born", born["CiphertextBlob"]), "--encryption-context", context, "--recipient")
    recipient = cli.recipient()
    again = cli.run(*decrypt, recipient)
    assert isinstance(again, dict), again
    replayed = cli.run(*decrypt, recipient)
    check({"created": made, "opened": base64.b64decode(opened).decode(), "without": "AccessDeniedException",
           "replayed": "AccessDeniedException" if "AccessDeniedException" in replayed else replayed,
           "born": born["CiphertextForRecipient"], "again": again["CiphertextForRecipient"], "plaintexts": len(born.get("Plaintext", ""))
           + len(again.get("Plaintext", ""))})


try:
    sys.dont_write_bytecode = True
    tap.main()
finally:
    if kms is not None:
        kms.close()
    project.__exit__()
