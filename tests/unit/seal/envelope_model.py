#!/usr/bin/env python3
"""envelope_model.py DUMP: a second reader of envelopes and links, written from doc/formats.md and RFC 9180 with nothing but
Python's own library. Opens what src/seal seals: digests, keys, AES-256-GCM, padding, parts, HPKE's export."""
import hashlib, hmac, struct, subprocess, sys

# --- AES-256-GCM (FIPS 197, SP 800-38D) ---
def _sbox():
    p = q = 1
    box = [0x63] * 256
    while True:
        p = p ^ (p << 1) & 0xff ^ (0x1b if p & 0x80 else 0)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xff
        q ^= 0x09 if q & 0x80 else 0
        rot = lambda n: (q << n | q >> 8 - n) & 0xff
        box[p] = q ^ rot(1) ^ rot(2) ^ rot(3) ^ rot(4) ^ 0x63
        if p == 1:
            return box

S = _sbox()
double = lambda x: (x << 1 ^ (0x1b if x & 0x80 else 0)) & 0xff

def round_keys(key):
    w = [list(key[i:i + 4]) for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        t = list(w[i - 1])
        if i % 8 == 0:
            t = [S[b] for b in t[1:] + t[:1]]
            t[0] ^= rcon
            rcon = double(rcon)
        elif i % 8 == 4:
            t = [S[b] for b in t]
        w.append([a ^ b for a, b in zip(w[i - 8], t)])
    return [sum(w[i:i + 4], []) for i in range(0, 60, 4)]

def aes(keys, block):
    s = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 15):
        s = [S[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if r < 14:
            mixed = []
            for c in range(0, 16, 4):
                a = s[c:c + 4]
                mixed += [double(a[i]) ^ double(a[(i + 1) % 4]) ^ a[(i + 1) % 4] ^ a[(i + 2) % 4] ^ a[(i + 3) % 4] for i in range(4)]
            s = mixed
        s = [a ^ b for a, b in zip(s, keys[r])]
    return bytes(s)

def ghash(h, data):
    y = 0
    for at in range(0, len(data), 16):
        x, y = y ^ int.from_bytes(data[at:at + 16], 'big'), 0
        v = h
        for i in range(127, -1, -1):
            if x >> i & 1:
                y ^= v
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
    return y

def gcm_open(key, aad, sealed):
    keys, nonce = round_keys(key), bytes(12)
    pad = lambda b: b + bytes(-len(b) % 16)
    text, tag = sealed[:-16], sealed[-16:]
    h = int.from_bytes(aes(keys, bytes(16)), 'big')
    y = ghash(h, pad(aad) + pad(text) + struct.pack('>QQ', 8 * len(aad), 8 * len(text)))
    mask = int.from_bytes(aes(keys, nonce + struct.pack('>I', 1)), 'big')
    assert (y ^ mask).to_bytes(16, 'big') == tag, 'tag'
    stream = b''.join(aes(keys, nonce + struct.pack('>I', 2 + i)) for i in range((len(text) + 15) // 16))
    return bytes(a ^ b for a, b in zip(text, stream))

# --- protocol.md section 1 ---
mac = lambda key, m: hmac.new(key, m, hashlib.sha256).digest()
kdf = lambda secret, label, context: mac(mac(bytes(32), secret), b'bulla/1 ' + label + b'\0' + context + b'\1')
sha256 = lambda b: hashlib.sha256(b).digest()

# --- deterministic CBOR, as much as envelopes need; items remember their bytes ---
def item(b, at=0):
    major, info, start = b[at] >> 5, b[at] & 31, at
    at += 1
    if info >= 24:
        size = 1 << info - 24
        info, at = int.from_bytes(b[at:at + size], 'big'), at + size
    if major in (2, 3):
        return b[at:at + info], b[start:at + info], at + info
    if major == 4:
        values, raws = [], []
        for _ in range(info):
            value, raw, at = item(b, at)
            values.append(value)
            raws.append(raw)
        return list(zip(values, raws)), b[start:at], at
    return ({} if major == 5 else info), b[start:at], at

def open_envelope(envelope, reader, secret, run):
    (header, _), (unprotected, _), (text, _) = item(envelope)[0]
    assert unprotected == {}
    (core_items, core), (readers, _) = item(header)[0]
    version, alg, (_, position), kind, path, producer, commitment, padding = core_items
    assert (version[0], alg[0], kind[0]) == (1, 3, 2) and producer[0] == b'\7' + bytes(31)
    wrapped = dict((r[0][0], r[1][0]) for r, _ in readers)[reader]
    context = b'\x82' + position + b'\x58\x20' + sha256(core)
    content_key = gcm_open(kdf(secret + run, b'wrap', context), b'', wrapped)
    padded = gcm_open(content_key, core, text)
    assert sha256(padded) == commitment[0], 'commitment'
    size = int.from_bytes(padded[32:36], 'big')
    assert not any(padded[36 + size:]) and len(padded) == 36 + (padding[0] or size), 'padding'
    return padded[:32], padded[36:36 + size], path[0], sha256(header), commitment[0]

# --- X25519 (RFC 7748) and HPKE's export in base mode (RFC 9180) ---
def x25519(k, u):
    p = 2 ** 255 - 19
    k = int.from_bytes(k, 'little') & ~7 & ~(128 << 248) | 64 << 248
    x1 = x3 = int.from_bytes(u, 'little') & 2 ** 255 - 1
    x2, z2, z3 = 1, 0, 1
    for bit in range(254, -1, -1):
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        e = aa - bb
        x3, z3, x2, z2 = (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p, aa * bb % p, e * (aa + 121665 * e) % p
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, 'little')

def receive_export(private, enc, info, context):
    kem, hpke = b'KEM\x00\x20', b'HPKE\x00\x20\x00\x01\x00\x02'
    extract = lambda suite, salt, label, ikm: mac(salt or bytes(32), b'HPKE-v1' + suite + label + ikm)
    expand = lambda suite, prk, label, text: mac(prk, b'\0\x20HPKE-v1' + suite + label + text + b'\1')
    public = x25519(private, b'\x09' + bytes(31))
    shared = expand(kem, extract(kem, b'', b'eae_prk', x25519(private, enc)), b'shared_secret', enc + public)
    schedule = b'\0' + extract(hpke, b'', b'psk_id_hash', b'') + extract(hpke, b'', b'info_hash', info)
    return expand(hpke, expand(hpke, extract(hpke, shared, b'secret', b''), b'exp', schedule), b'sec', context)

def check_link(rows):
    (_, private), (_, message), (_, kid), (_, identity), (_, secret) = rows
    (_, _), (unprotected, _), (payload, _), (signature, _) = item(message)[0]
    body = item(payload)[0]
    enc = body[8][0]
    without_enc = b'\x88' + b''.join(raw for _, raw in body[:8])
    assert unprotected == {} and len(signature) == 64 and [v for v, _ in body[:4]] == [1, kid, 1, b'\x09' + bytes(7)]
    assert body[4][0] == sha256(x25519(private, b'\x09' + bytes(31))) and body[5][0] == 300
    assert sha256(payload)[:16] == identity
    assert receive_export(private, enc, sha256(without_enc), b'bulla/1 link') == secret

def main():
    lines = subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True, text=True).stdout.split('\n')
    rows = [(n, bytes.fromhex(v)) for n, v in (line.split(' ') for line in lines if line)]
    (_, link), (_, run), (_, salt) = rows[:3]
    (_, whole), (_, whole_digest), (_, whole_commitment), (_, part), (_, part_digest), (_, part_commitment) = rows[3:9]
    covered, bare = b'\1' + bytes(15), b'\2' + bytes(15)
    for reader, secret in ((covered, run), (bare, bytes(32))):
        got = open_envelope(whole, reader, link, secret)
        assert got == (salt, b'{"risk":{"grade":"B"}}', [], whole_digest, whole_commitment), got
    part_salt, payload, path, digest, commitment = open_envelope(part, covered, link, run)
    for _, raw in path:
        salt = kdf(salt, b'part', raw)
    assert (part_salt, payload, digest, commitment) == (salt, b'"B"', part_digest, part_commitment)
    assert [name for name, _ in path] == [b'risk', b'grade']
    assert sha256(salt + struct.pack('>I', 3) + b'"B"') == commitment
    check_link(rows[9:])
    print('ok: whole by two readers, part from the salt of its whole, secret of a link')

main()
