"""An auditor who trusts nobody: reads a bundle by doc/formats.md alone, with other people's CBOR (cbor2), COSE (pycose) and X.509
(cryptography), and believes only a trust file. Shares no code with Bulla. Linear workflows; dev and Nitro evidence.
auditor.py BUNDLE TRUST: one line per thing that holds; an exception says what does not."""
import base64
import collections
import datetime
import hashlib
import io
import sys

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pycose.keys import EC2Key
from pycose.messages import Sign1Message

START, PERMIT, COMMIT = 1, 2, 3
OPEN, DONE, FAILED = 1, 2, 3  # states of a run


class Refused(Exception):
    pass


def demand(holds, what):
    if not holds:
        raise Refused(what)


def sha(data):
    return hashlib.sha256(data).digest()


def u(data):
    return int.from_bytes(data, "big")


def canonical(data):
    """One item, in the one form that a writer of deterministic CBOR gives it."""
    f = io.BytesIO(data)
    value = cbor2.load(f)
    demand(f.tell() == len(data) and cbor2.dumps(value, canonical=True) == data, "an item is not in its one form")
    return value


# --- RFC 9162 trees ---

def tree(items):
    if not items:
        return sha(b"")
    if len(items) == 1:
        return sha(b"\0" + items[0])
    half = 1 << ((len(items) - 1).bit_length() - 1)
    return sha(b"\1" + tree(items[:half]) + tree(items[half:]))


def root(items):
    return sha(cbor2.dumps([len(items), tree(items)]))


def climb(leaf, index, count, path):
    """RFC 9162 section 2.1.3.2: the tree hash that an inclusion proof leads to."""
    demand(index < count, "a proof's index is out of its tree")
    fn, sn, r = index, count - 1, sha(b"\0" + leaf)
    for p in path:
        demand(sn > 0, "a proof is too long")
        if fn & 1 or fn == sn:
            r = sha(b"\1" + p + r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\1" + r + p)
        fn, sn = fn >> 1, sn >> 1
    demand(sn == 0, "a proof is too short")
    return r


# --- signatures ---

def key_of(spki):
    key = serialization.load_der_public_key(spki)
    numbers, size = key.public_numbers(), (key.curve.key_size + 7) // 8
    return EC2Key(crv={256: "P_256", 384: "P_384"}[key.curve.key_size], x=numbers.x.to_bytes(size, "big"), y=numbers.y.to_bytes(size, "big"))


def sign1_holds(message, key, what):
    m = Sign1Message.from_cose_obj(list(message), True)
    m.key = key
    demand(m.verify_signature(), f"{what}: the signature does not hold")


def open_sign1(raw, kind, spki):
    """Payload of a COSE_Sign1 of ours, verified under the key that the reader knows."""
    message = canonical(raw)
    demand(canonical(message[0]) == {1: -7, 3: f"application/bulla-{kind}+cbor;v=1", 4: sha(spki)} and message[1] == {},
           f"{kind}: other headers than it must have")
    sign1_holds(message, key_of(spki), kind)
    return canonical(message[2])


def auth_holds(payload, auth, kind, spki):
    """Section `signatures of records`: alone, or one of a batch."""
    if len(auth) == 4:
        hashes = [auth[3][i:i + 32] for i in range(0, len(auth[3]), 32)]
        payload = cbor2.dumps([1, sha(cbor2.dumps([auth[2], climb(sha(payload), auth[1], auth[2], hashes)]))])
        kind += "s"
    header = cbor2.dumps({1: -7, 3: f"application/bulla-{kind}+cbor;v=1", 4: sha(spki)}, canonical=True)
    sign1_holds([header, {}, payload, auth[0]], key_of(spki), kind)
    return len(auth) == 4


# --- evidence ---

def chain_holds(certificates, anchors, at):
    demand(sha(certificates[0]) in anchors, "evidence: an unknown root")
    chain = [x509.load_der_x509_certificate(c) for c in certificates]
    for above, below in zip(chain, chain[1:]):
        below.verify_directly_issued_by(above)
        demand(above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, "evidence: issued by no authority")
    for certificate in chain:
        demand(certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc, "evidence: a certificate out of its time")
    return chain[-1].public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def extended(*data):
    pcr = bytes(48)
    for d in data:
        pcr = hashlib.sha384(pcr + d).digest()
    return pcr


def instance_holds(body, manifest, anchors):
    """Section `instance record`. Gives (kid, spki, agents hosted)."""
    _, tee, purpose, challenge, channel, spki, agents, of, evidence, _, _ = canonical(body)
    handles = [agents[i:i + 8] for i in range(0, len(agents), 8)]
    demand(of == manifest.digest and handles and handles == sorted(set(handles)), "instance: of another manifest, or of no agent")
    message = cbor2.loads(evidence)
    document = cbor2.loads(message[2])
    at = datetime.datetime.fromtimestamp(document["timestamp"] / 1000, datetime.timezone.utc)
    leaf = chain_holds(document["cabundle"] + [document["certificate"]], anchors, at)
    demand(cbor2.loads(message[0]) == {1: -35}, "evidence: not ES384")
    sign1_holds(message, key_of(leaf), "evidence")
    binder = hashlib.sha512(b"bulla-att-v1" + cbor2.dumps([tee, {1: "session", 2: "boot"}[purpose], challenge, channel, sha(spki), handles,
                                                           manifest.digest])).digest()
    demand(document["user_data"] == binder and document["nonce"] == challenge, "evidence: bound to another key or session")
    pcrs = document["pcrs"]
    demand(any(pcrs[i] != bytes(48) for i in range(3)), "evidence: debug mode")
    demand(pcrs[16] == extended(manifest.digest), "evidence: another manifest was measured")
    demand(pcrs[17] == extended(*(manifest.agents[h].bundle for h in handles)), "evidence: other agents were measured")
    for h in handles:
        demand(any(tee == name and all(c == "pcr" and pcrs[i] == value for c, i, value in claims) for name, claims in manifest.agents[h].images),
               "evidence: the enclave is no image that the manifest accepts")
    return sha(spki), spki, handles


# --- manifest ---

Agent = collections.namedtuple("Agent", "bundle images")


class Manifest:
    def __init__(self, body):
        m = canonical(body)
        self.digest, self.tenant, self.epoch = sha(body), m[4], m[6]
        self.parties = {sha(p[2]): p for p in m[9]}
        self.agents = {a[0]: Agent(a[2], a[9]) for a in m[10]}
        self.plans = {sha(w[2]): canonical(w[2]) for w in m[11]}
        self.ledger = m[13][2]
        self.approvers = [spki for _, spki in m[8][1]]
        self.need = m[8][0]


class Trust:
    def __init__(self, text):
        words = [line.split() for line in text.splitlines()]
        demand(words[0] == ["bulla-trust", "1"], "not a trust file")
        self.tenant = next(bytes.fromhex(w[1]) for w in words if w[0] == "tenant")
        self.approvers = [base64.urlsafe_b64decode(w[2] + "==") for w in words if w[0] == "approver"]
        self.need = next(int(w[1]) for w in words if w[0] == "need")
        self.anchors = {bytes.fromhex(w[3]) for w in words if w[0] == "anchor"}


def approved(manifest, approvals, trust):
    signed = set()
    for raw in approvals:
        kid = cbor2.loads(cbor2.loads(raw)[0])[4]
        spki = next((k for k in manifest.approvers if sha(k) == kid and k in trust.approvers), None)
        demand(spki is not None, "an approval by somebody else")
        demand(open_sign1(raw, "manifest", spki) == [1, manifest.digest, manifest.epoch], "an approval of another manifest")
        signed.add(kid)
    demand(manifest.tenant == trust.tenant and len(signed) >= max(trust.need, manifest.need), "too few approvals")


# --- the run ---

def pairs_of(data):
    return [data[i:i + 64] for i in range(0, len(data), 64)]


class Auditor:
    def __init__(self, bundle, trust):
        self.items = collections.defaultdict(list)
        self.read(bundle)
        self.header = canonical(self.items[0][0])
        self.manifest = Manifest(self.items[1][0])
        self.trust = trust
        self.done = {}  # step: receipt digest and output pairs
        self.pairs = {}  # envelope digest: (commitment, producer, step)
        self.said = {}

    def read(self, bundle):
        f, order = io.BytesIO(bundle), []
        while f.tell() < len(bundle):
            at = f.tell()
            item = cbor2.load(f)
            demand(cbor2.dumps(item) == bundle[at:f.tell()], "the bundle is not in its one form")
            self.items[item[0]].append(item[1])
            order.append(item[0])
        demand(order[0] == 0 and order[-1] == 16 and order.count(16) == 1 and order.count(0) == 1, "the bundle is not whole")
        counts = [len(self.items[kind]) for kind in range(16)]
        demand(canonical(self.items[16][0]) == [1, counts, sha(bundle[:at])], "the bundle is not as it was written")

    def say(self, what, count):
        self.said[what] = count

    def people_and_enclaves(self):
        m = self.manifest
        demand(self.header[1] == "bulla-bundle" and self.header[2] == m.tenant and self.header[4] == m.digest, "another manifest than the run's")
        approved(m, self.items[2], self.trust)
        self.say("approvals", len(self.items[2]))
        self.instances = {kid: (spki, agents) for kid, spki, agents in (instance_holds(b, m, self.trust.anchors) for b in self.items[4])}
        self.say("enclaves", len(self.instances))

    def births_and_links(self):
        m, born = self.manifest, {}
        for raw in self.items[3]:
            kid = cbor2.loads(cbor2.loads(raw)[0])[4]
            demand(kid in self.instances, "a birth by no enclave")
            b = open_sign1(raw, "birth", self.instances[kid][0])
            demand(b[1] == m.tenant and b[2] in self.instances[kid][1] and b[4] == m.digest, "a birth of another agent")
            born.setdefault(b[2], set()).add(sha(b[6]))
        for raw in self.items[6]:
            kid = cbor2.loads(cbor2.loads(raw)[0])[4]
            spki = self.instances[kid][0] if kid in self.instances else self.manifest.parties[kid][2]
            link = open_sign1(raw, "link", spki)
            keys = born.get(link[3], set()) if link[2] == 1 else {sha(p[3]) for p in m.parties.values() if p[0] == link[3]}
            demand(link[1] == kid and link[6] == m.digest and (link[2] == 3 or link[4] in keys), "a link to a key nobody has")
        self.say("births", len(self.items[3]))
        self.say("links", len(self.items[6]))

    def start(self):
        payload, auth = canonical(self.items[7][0])[1:]
        s = canonical(payload)
        party = self.manifest.parties[s[5]]
        demand(s[1:5] == [self.header[2], self.header[3], self.header[4], self.header[5]] and party[4] & 1, "a start of another run, or by who may not")
        auth_holds(payload, auth, "start", party[2])
        self.finish(0, sha(payload), pairs_of(s[6]), s[5])

    def finish(self, step, digest, pairs, producer):
        """What the ledger committed fills its step; a failed attempt's receipt is committed, too, and fills nothing."""
        demand(digest in self.ended, "a receipt that the ledger did not commit")
        if self.committed.get(step) == digest:
            demand(step not in self.done, "a step has two results")
            self.done[step] = (digest, pairs)
        for pair in pairs:
            self.pairs[pair[:32]] = (pair[32:], producer, step)

    def receipts(self):
        plan, batched = self.manifest.plans[self.header[3]], 0
        for raw in self.items[8]:
            _, payload, auth, outputs, _ = canonical(raw)
            r = canonical(payload)
            demand(len(payload) == 330 and r[1:5] == [self.header[2], self.header[3], self.header[4], self.header[5]], "a receipt of another run")
            step, agent = u(r[5]), None
            spki, hosted = self.instances[r[11]]
            if r[8] == b"\x01":
                agent = plan[4][plan[6][step][2] - 1][1]
                demand(agent in hosted and r[10] == self.manifest.agents[agent].bundle, "a step ran another agent than its own")
            batched += auth_holds(payload, auth, "receipt", spki)
            demand(not (plan[2] & 1 and len(auth) == 4), "a batch signature where each was demanded")
            demand(r[14] == root(pairs_of(outputs)), "outputs that nobody signed")
            spec = plan[6][step]
            parents = sorted({source[0] for _, sources in spec[4] for source in sources} | set(spec[5]) | {c[0] for c in spec[6]})
            demand(r[12] == root([self.done[p][0] for p in parents]), "a receipt on other parents than the plan demands")
            inputs = [self.done[source][1][part] for _, sources in spec[4] for source, part in sources[:1]]
            demand(r[13] == root(inputs), "a receipt over other inputs than its parents' outputs")
            self.finish(step, sha(payload), pairs_of(outputs), r[11])
        self.say("receipts", len(self.items[8]))
        self.say("signed in batches", batched)

    def ledger(self):
        entries, last = [canonical(e) for e in self.items[11]], 0
        head = open_sign1(self.items[13][0], "run-head", self.manifest.ledger)
        demand(head[1:5] == [self.header[2], self.header[5], len(entries), root(self.items[11])], "entries that the ledger did not sign")
        for e in entries:
            demand(u(e[6]) > last, "the ledger's entries do not rise")
            last = u(e[6])
        ended = [e for e in entries if e[0] in (START, COMMIT)]
        self.ended = {e[9] for e in ended}
        filled = [(u(e[3]), e[9]) for e in ended if e[2] == b"\x01"]
        self.committed = dict(filled)
        demand(len(filled) == len(self.committed), "a step was filled twice")
        permitted = {(u(e[3]), u(e[5])): e[10] for e in entries if e[0] == PERMIT}
        demand(all(permitted.get((u(e[3]), u(e[5]))) == e[10] for e in ended if e[0] == COMMIT), "a commit without its permit")
        demand(head[8] != OPEN, "the run had not ended when the ledger signed: its tail may be missing")
        whole = set(self.committed) == set(range(len(self.manifest.plans[self.header[3]][6])))
        demand(head[8] == (DONE if whole else FAILED), "the ledger says that the run ended otherwise than its steps did")
        self.say("ledger entries", len(entries))

    def tokens(self):
        demand(self.committed == {step: digest for step, (digest, _) in self.done.items()}, "receipts and ledger disagree")
        for raw in self.items[12]:
            _, payload, auth = canonical(raw)
            auth_holds(payload, auth, "token", self.manifest.ledger)
            t = canonical(payload)
            demand(t[3] == self.header[5] and t[6] in self.ended, "a token over what was not committed")
        self.say("tokens", len(self.items[12]))

    def envelopes(self):
        sealed = self.items[9] + self.items[10]
        for raw in sealed:
            header = canonical(raw)[0]
            core = canonical(header)[0]
            commitment, producer, step = self.pairs.get(sha(header), (None, None, None))
            if core[3] != 4:  # a log is bound by its place and its producer
                demand(core[6] == commitment and core[5] == producer and u(core[2][3]) == step, "an envelope that no receipt names")
            demand(core[2][:3] == [self.header[2], self.header[3], self.header[5]], "an envelope of another run")
        self.say("envelopes", len(sealed))

    def audit(self):
        for part in (self.people_and_enclaves, self.births_and_links, self.ledger, self.start, self.receipts, self.tokens, self.envelopes):
            part()
        return self.said


def main():
    with open(sys.argv[1], "rb") as bundle, open(sys.argv[2], encoding="ascii") as trust:
        for what, count in Auditor(bundle.read(), Trust(trust.read())).audit().items():
            print(f"{count} {what}")


if __name__ == "__main__":
    main()
