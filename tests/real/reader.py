"""A reader of sealed state by doc/formats.md alone: HPKE (RFC 9180) by pyhpke, the rest by cryptography. For a party who holds
its key file. Shares no code with Bulla."""
import hashlib

import cbor2
from auditor import Refused, canonical, demand, sha
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey
import hmac


def kdf(secret, label, *context):
    """HKDF-Expand(HKDF-Extract("", secret), "bulla/1 " | label | 0 | CBOR(context), 32): PROTOCOL.md section 1."""
    prk = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    info = b"bulla/1 " + label.encode() + b"\0" + cbor2.dumps(context[0] if len(context) == 1 else list(context))
    return HKDFExpand(algorithm=hashes.SHA256(), length=32, info=info).derive(prk)


class Reader:
    """key_file: the bytes of a key file, CBOR [1, PKCS#8, X25519]."""

    def __init__(self, key_file):
        self.key = X25519PrivateKey.from_private_bytes(canonical(key_file)[2])
        self.public = self.key.public_key().public_bytes_raw()

    def link_secret(self, link):
        suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
        info = sha(cbor2.dumps(link[:8]))
        return suite.create_recipient_context(link[8], KEMKey.from_pyca_cryptography_key(self.key), info).export(b"bulla/1 link", 32)

    def links(self, bundle_items):
        """{link id: secret} of the links to this key."""
        found = {}
        for raw in bundle_items[6]:
            payload = cbor2.loads(raw)[2]
            link = canonical(payload)
            if link[2] == 2 and link[4] == sha(self.public):
                found[sha(payload)[:16]] = self.link_secret(link)
        return found

    def open(self, envelope, links):
        """Payload of an envelope, or None when it is not for this key."""
        header, _, ciphertext = canonical(envelope)
        core, readers = canonical(header)
        mine = [(links[link], wrapped) for link, wrapped in readers if link in links]
        if not mine:
            return None
        secret, wrapped = mine[0]
        try:  # a party's key is not mixed with the run secret: zeros stand in its place
            content_key = AESGCM(kdf(secret + bytes(32), "wrap", core[2], sha(cbor2.dumps(core)))).decrypt(bytes(12), wrapped, None)
            padded = AESGCM(content_key).decrypt(bytes(12), ciphertext, cbor2.dumps(core))
        except InvalidTag:
            raise Refused("an envelope is damaged") from None
        demand(sha(padded) == core[6], "an envelope holds another content than its commitment says")
        size = int.from_bytes(padded[32:36], "big")
        demand(not any(padded[36 + size:]), "padding that is not zero")
        return padded[36:36 + size]

    def open_all(self, bundle_items):
        """(step, payload) of all envelopes of a bundle that are for this key."""
        links = self.links(bundle_items)
        opened = ((int.from_bytes(cbor2.loads(cbor2.loads(raw)[0])[0][2][3], "big"), self.open(raw, links)) for raw in bundle_items[9])
        return [(step, payload) for step, payload in opened if payload is not None]
