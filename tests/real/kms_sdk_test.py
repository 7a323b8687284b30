"""bulla-kms under a stock AWS SDK (boto3, its version pinned here): what AWS clients expect, and what attestation refuses."""
import json
import os
import socket

import others

others.enter("boto3==1.42.0")

import boto3  # noqa: E402
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402

from project import Project, Tap  # noqa: E402

tap = Tap()
PROJECT = "project: kmstest\nagents: {a: cat}\nworkflows: {w: [a]}\nbroker: {port: %d}\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    def __enter__(self):
        self.port = free_port()
        self.project = Project("hello", PROJECT % self.port).__enter__()
        self.project.run("up", check=0)
        with open(os.path.join(self.project.state, "broker", "admin.json"), encoding="ascii") as file:
            self.admin = json.load(file)
        return self

    def __exit__(self, *details):
        self.project.__exit__(*details)

    def client(self, secret=None):
        return boto3.client("kms", endpoint_url=f"https://127.0.0.1:{self.port}", region_name=self.admin["region"], verify=False,
                            aws_access_key_id=self.admin["access_key"], aws_secret_access_key=secret or self.admin["secret_key"],
                            config=botocore.config.Config(retries={"max_attempts": 1}))


def refused(call, code, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


@tap.case
def an_administrator_makes_and_describes_keys():
    with Broker() as b:
        kms = b.client()
        made = kms.create_key(Description="from the SDK")["KeyMetadata"]
        assert made["Enabled"] and made["KeyState"] == "Enabled" and made["Arn"].startswith("arn:aws:kms:"), made
        seen = kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
        assert seen["Arn"] == made["Arn"]
        assert json.loads(kms.get_key_policy(KeyId=made["KeyId"], PolicyName="default")["Policy"])["Statement"]
        refused(kms.describe_key, "NotFoundException", KeyId="00000000-0000-0000-0000-000000000000")


@tap.case
def a_wrong_signature_is_refused():
    with Broker() as b:
        refused(b.client("0" * 48).create_key, "InvalidSignatureException")


@tap.case
def an_agents_key_gives_nothing_without_its_evidence():
    with Broker() as b:
        kms = b.client()
        with open(os.path.join(b.project.state, "broker", "audit.jsonl"), encoding="utf-8") as file:
            before = len(file.readlines())
        arn = next(key["KeyArn"] for key in kms.list_keys()["Keys"]) if hasattr(kms, "list_keys") and can_list(kms) else made_by_up(b)
        refused(kms.generate_data_key, "AccessDeniedException", KeyId=arn, KeySpec="AES_256")
        refused(kms.encrypt, "AccessDeniedException", KeyId=arn, Plaintext=b"x")
        for document in (b"rubbish", bytes(4500), b"\x84\x44\xa1\x01\x38\x22\xa0" + bytes(100)):
            try:
                kms.generate_data_key(KeyId=arn, KeySpec="AES_256", Recipient={
                    "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document})
                raise AssertionError("a data key for a document that is none")
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] in ("AccessDeniedException", "ValidationException"), error.response
        with open(os.path.join(b.project.state, "broker", "audit.jsonl"), encoding="utf-8") as file:
            lines = file.readlines()
        assert len(lines) > before and all(json.loads(line) for line in lines), "each try is in the audit log"


def can_list(kms):
    try:
        kms.list_keys()
        return True
    except botocore.exceptions.ClientError:
        return False


def made_by_up(b):
    """The ARN that `bulla up` remembers for its agent: the only text in that file."""
    with open(os.path.join(b.project.state, "owner", "wrapping"), "rb") as file:
        text = file.read()
    at = text.index(b"arn:aws:kms:")
    return text[at:].decode("ascii", "ignore").split("\0")[0]


@tap.case
def other_operations_say_that_they_are_not_there():
    with Broker() as b:
        kms = b.client()
        for call, arguments in ((kms.create_grant, {"KeyId": "x", "GranteePrincipal": "y", "Operations": ["Decrypt"]}),
                                (kms.list_grants, {"KeyId": "x"})):
            try:
                call(**arguments)
                raise AssertionError("it answered")
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] in ("UnsupportedOperationException", "AccessDeniedException",
                                                           "NotFoundException"), error.response


tap.main()
