"""`bulla attest` as somebody uses it who has a file of evidence: what is typed wrong is refused before any file is read, reference values come
from what deserves it."""
import base64
import hmac
import json
import os
import pty
import subprocess
import time

import ear
from attest_cases import FAMILIES, FOLDER, ROOT, Case, write
from project import BUILD, Tap

DONE, FAILED, USAGE, NOT_FOUND, HOLDS, REFUSED, AGAIN = 0, 1, 2, 3, 4, 5, 75
BULLA = os.path.abspath(os.path.join(BUILD, "src/cmd/bulla"))
NOWHERE = os.path.join(FOLDER.name, "there", "is", "no", "such", "file")
tap = Tap()


def attest(*words, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BULLA_"))}
    env.update(HOME=FOLDER.name, **more)
    return subprocess.run([BULLA, "attest", *words], capture_output=True, text=True, errors="replace", timeout=60, env=env, cwd=FOLDER.name,
                          stdin=subprocess.DEVNULL)


def evidence(case):
    return write(case.name + ".evidence", case.evidence)


@tap.case
def what_cannot_work_is_refused_before_anything_is_read():
    """No file that is named exists, no server either: who looks at one says so, and not what is wrong with the command line."""
    verify, serve = ["verify", NOWHERE, "--any-code", "--any-nonce"], ["serve", "unix:" + NOWHERE, "--any-code"]
    reference, many = ["--reference", NOWHERE], [f"--collateral={NOWHERE}"] * 17
    wrong = [
        (["verify", NOWHERE, "--any-nonce"], "which code is expected"),
        ([*verify, *reference], "do not go together"),
        (["verify", NOWHERE, *reference], "what the evidence answers"),
        ([*verify, "--nonce", "00"], "`--any-nonce` does not go"),
        ([*verify, "--binder", "00"], "`--any-nonce` does not go"),
        (["verify", NOWHERE, *reference, "--nonce", "0"], "two a byte"),
        (["verify", NOWHERE, *reference, "--nonce", "xx"], "two a byte"),
        (["verify", NOWHERE, *reference, "--nonce", "00" * 1025], "more than 1024 bytes"),
        (["verify", NOWHERE, *reference, "--binder", "00" * 65], "more than 64 bytes"),
        (["verify", NOWHERE, *reference, "--binder", "00" * 63], "a binder is 64 bytes"),
        (["verify", NOWHERE, *reference, "--binder", "00"], "a binder is 64 bytes"),
        ([*verify, "--at", "yesterday"], "`--at` takes a time"),
        ([*verify, "--at", "2025-02-30T00:00:00Z"], "`--at` takes a time"),
        ([*verify, "-o", NOWHERE], "with which key"),
        ([*verify, *many], "more than 16"),
        (["show", NOWHERE, *many], "more than 16"),
        (["reference", NOWHERE, *many], "more than 16"),
        (["convert", NOWHERE], "which form"),
        (["convert", NOWHERE, "--as", "x"], "`--as` does not take `x`"),
        (["convert", NOWHERE, "--as", "raw", "--collateral", NOWHERE], "no place for collateral"),
        (["convert", NOWHERE, "--as", "cmw", *many], "more than 16"),
        (["serve", "nobody", "--any-code", "--key", NOWHERE], "address"),
        (["serve", "unix:" + NOWHERE, "--key", NOWHERE], "which code is expected"),
        ([*serve, *reference, "--key", NOWHERE], "do not go together"),
        (serve, "with which key"),
        ([*serve, "--key", NOWHERE, "--anchor", NOWHERE, *many], "more than 16"),
        (["serve", "192.0.2.1:9", "--any-code", "--key", NOWHERE, "--plain"], "without TLS others"),
        ([*serve, "--key", NOWHERE, "--plain", "--tls-key", NOWHERE, "--tls-cert", NOWHERE], "no use for a TLS key"),
        ([*serve, "--key", NOWHERE, "--tls-key", NOWHERE], "go together"),
        ([*serve, "--key", NOWHERE, "--tls-cert", NOWHERE], "go together"),
        (["fetch", NOWHERE, *many], "more than 16"),
        (["fetch", NOWHERE, "--at", "yesterday"], "`--at` takes a time"),
        (["fetch", NOWHERE, "--from", "http://localhost"], "https URL"),
        (["fetch", NOWHERE, "--from", "https://"], "https URL"),
        (["fetch", NOWHERE, "--from", "https://x:y/"], "https URL"),
        (["fetch", NOWHERE, "--from", "https://" + "a" * 600], "https URL"),
        (["demand", "--within", "2h", "-C", NOWHERE], "within an hour"),
        (["demand", "somebody", "-C", NOWHERE], "64 hex digits"),
    ]
    for words, said in wrong:
        for form in ([], ["--json"]):
            done = attest(*words, *form)
            told = json.loads(done.stdout)["what"] if form else done.stderr
            assert done.returncode == USAGE and said in told, (words, done)
            assert form or (done.stdout == "" and done.stderr.startswith("error[")), (words, done)


@tap.case
def what_is_missing_is_said_before_the_verdict():
    case = Case("nitro-held")
    words = ["verify", evidence(case), "--any-code", "--any-nonce", "--at", str(case.now // 1000), *case.options()]
    out = os.path.join(FOLDER.name, "never.jwt")
    for key, code in ((NOWHERE, NOT_FOUND), (evidence(case), REFUSED)):
        done = attest(*words, "-o", out, "--key", key)
        assert done.returncode in (code, USAGE) and done.returncode != HOLDS and done.stdout == "", done
        assert key in done.stderr and not os.path.exists(out), done
    key, _ = signer()
    for line in ([*words, "--key", key], ["reference", evidence(case), *case.options()], ["convert", evidence(case), "--as", "raw"]):
        done = attest(*line, "-o", NOWHERE)
        assert done.returncode == NOT_FOUND and NOWHERE in done.stderr and "folder" in done.stderr and done.stdout == "", done
    done = attest("verify", write("garbage", b"{}"), "--any-code", "--any-nonce")
    assert done.returncode == FAILED and "where  encoding" in done.stdout and "  code  " not in done.stdout, done
    for verb in (["verify", FOLDER.name, "--any-code", "--any-nonce"], ["show", FOLDER.name], ["fetch", FOLDER.name]):
        done = attest(*verb)
        assert done.returncode == REFUSED and "not a file" in done.stderr and done.stdout == "", done
    done = attest(*words, "-o", out, BULLA_KEY=NOWHERE)
    assert done.returncode == NOT_FOUND and NOWHERE in done.stderr and done.stdout == "", done


@tap.case
def debug_evidence_gives_no_reference_values_by_itself():
    for family in ("nitro", "snp", "tdx", "sgx"):
        case = Case(family + "-debug")
        out = os.path.join(FOLDER.name, family + ".reference")
        done = attest("reference", evidence(case), "-o", out, *case.options())
        assert done.returncode == REFUSED and done.stderr.startswith("error[evidence-debug]"), done
        assert "--debug" in done.stderr and done.stdout == "" and not os.path.exists(out), done
        told = json.loads(attest("reference", evidence(case), "--json", *case.options()).stdout)
        assert told["id"] == "evidence-debug" and told["next"], told
        done = attest("reference", evidence(case), "--debug", "-o", out, *case.options())
        assert done.returncode == DONE and "debug mode" in done.stderr, done
        with open(out, encoding="utf-8") as file:
            assert "debug" not in file.read()  # never waived by a file that a program wrote
        bound = case.expected() or ["--any-nonce"]
        words = ["verify", evidence(case), "--reference", out, "--at", str(case.now // 1000), *bound, *case.options()]
        done = attest(*words)
        assert done.returncode == FAILED and "where  debug: " in done.stdout, done
        done = attest(*words, "--debug")
        assert done.returncode == HOLDS and done.stdout.startswith("ACCEPTED"), done


def cbor(value):
    """Numbers, bytes, texts, lists, maps."""
    def head(major, n):
        size = next(i for i, most in enumerate((24, 1 << 8, 1 << 16, 1 << 32)) if n < most)
        return bytes([major << 5 | (23 + size if size else n)]) + (n.to_bytes(1 << (size - 1), "big") if size else b"")
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    items = [item for pair in value.items() for item in pair] if isinstance(value, dict) else value
    return head(5 if isinstance(value, dict) else 4, len(value)) + b"".join(map(cbor, items))


@tap.case
def evidence_without_software_gives_no_reference_values():
    """PSA's first profile: a token may say that no software was measured."""
    key = bytes(range(32))
    claims = {-75000: "PSA_IOT_PROFILE_1", -75001: 1, -75002: 0x3000, -75003: b"i" * 32, -75004: b"s" * 32, -75007: 1, -75008: b"n" * 32,
              -75009: b"\1" + b"d" * 32}
    protected, payload = cbor({1: 5}), cbor(claims)
    tag = hmac.digest(key, cbor(["MAC0", protected, b"", payload]), "sha256")
    path = write("bare.psa", b"\xd1" + cbor([protected, {}, payload, tag]))
    jwk = write("bare.jwk", json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(key).decode().rstrip("=")}).encode())
    out = os.path.join(FOLDER.name, "bare.reference")
    assert ", genuine" in attest("show", path, "--anchor", jwk).stdout
    done = attest("reference", path, "--anchor", jwk, "-o", out)
    assert done.returncode == REFUSED and "names no software component" in done.stderr and "next: " in done.stderr, done
    assert done.stdout == "" and not os.path.exists(out), done


@tap.case
def good_evidence_gives_values_that_accept_it():
    for family in FAMILIES:
        case = Case(family + "-held")
        out = os.path.join(FOLDER.name, family + ".reference")
        done = attest("reference", evidence(case), "-o", out, *case.options())
        assert done.returncode == DONE and done.stdout + done.stderr == "", done
        again = attest("reference", evidence(case), *case.options())
        with open(out, encoding="utf-8") as file:
            assert again.stdout == file.read(), family
        bound = case.expected() or ["--any-nonce"]
        done = attest("verify", evidence(case), "--reference", out, "--at", str(case.now // 1000), *bound, *case.options())
        assert done.returncode in (DONE, HOLDS), done


def ca():
    path = os.path.join(FOLDER.name, "ca.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ca", "-keyout",
                    os.devnull, "-out", path], check=True, capture_output=True)
    return path


def signer():
    """A key of openssl's for verdicts, and its public half."""
    path = os.path.join(FOLDER.name, "verdicts.der")
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], capture_output=True, check=True)
    subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-out", path], input=made.stdout, check=True)
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=made.stdout, capture_output=True, check=True)
    return path, public.stdout


@tap.case
def verdicts_say_the_same_as_jwt_and_cwt():
    """Read and verified by a reader of the test's own; beside `--json`, which says it in our words."""
    key, public = signer()
    names = [family + "-held" for family in FAMILIES] + ["nitro-signature", "snp-chain-dates", "tdx-debug", "sgx-class", "azure-nonce",
                                                         "psa-binder", "cca-measurement"]
    tiers = set()
    for name in names:
        case, said = Case(name), {}
        bound = case.expected() or ["--any-nonce"]
        for form in ("jwt", "cwt"):
            out = os.path.join(FOLDER.name, f"{name}.{form}")
            done = attest("verify", evidence(case), "--any-code", "--at", str(case.now // 1000), *bound, *case.options(), "--json", "-o",
                          out, "--key", key)
            assert done.returncode in (DONE, FAILED, HOLDS), done
            said[form] = out
        with open(said["jwt"], encoding="ascii") as jwt, open(said["cwt"], "rb") as cwt:
            claims = ear.read_both(jwt.read(), cwt.read(), public)
        told = json.loads(done.stdout)
        assert claims["eat_profile"] == "tag:github.com,2023:veraison/ear" and abs(claims["iat"] - time.time()) < 60, claims
        assert claims["ear.verifier-id"]["developer"] == "bulla", claims
        nonce = bound[bound.index("--nonce") + 1] if "--nonce" in bound else bound[1] if "--binder" in bound else ""
        assert ear.base64url(claims.get("eat_nonce", "")).hex() == nonce, (name, claims)
        (tee, results), = claims["submods"].items()
        assert tee == told["tee"] and results["bulla.assurance"] == told["assurance"], (name, told, results)
        assert results["bulla.factors"] == {row["id"]: row["state"] for row in told["factors"]}, (name, told, results)
        assert (results["ear.status"] == "contraindicated") >= (told["verdict"] == "refused"), (name, results)
        worst = max(results["ear.trustworthiness-vector"].values())
        assert results["ear.status"] == "contraindicated" or worst < 96, (name, results)
        tiers.add(results["ear.status"])
    assert tiers == {"contraindicated"}, tiers  # of class dev, all of them


@tap.case
def what_an_anchor_of_ones_own_shows_is_of_class_dev():
    """Roots and devices' keys alike: only the vendors' built-in roots are hardware's."""
    for family in FAMILIES:
        case = Case(family + "-held")
        words = [evidence(case), *case.options()]
        bound = case.expected() or ["--any-nonce"]
        done = attest("verify", *words, "--any-code", "--at", str(case.now // 1000), *bound)
        assert done.returncode == HOLDS and "evidence, class dev" in done.stdout, done
        reference = attest("reference", *words).stdout
        assert '"assurance": "dev"' in reference, reference
        strict = write("strict.reference", reference.replace('"assurance": "dev"', '"assurance": "hardware"').encode())
        done = attest("verify", *words, "--reference", strict, "--at", str(case.now // 1000), *bound)
        assert done.returncode == FAILED and "where  class: " in done.stdout, done


MEDIA = {"nitro": "nitro-document+cbor", "snp": "snp-report", "tdx": "tdx-quote", "sgx": "sgx-quote", "azure": "azure-vtpm+json",
         "psa": "psa-token+cbor", "cca": "cca-token+cbor"}
EVIDENCE, ENDORSEMENTS = 4, 2  # RFC 9999: bits of `ind`


def convert(path, form, *words):
    out = f"{path}.{form}"
    done = attest("convert", path, "--as", form, "-o", out, *words)
    assert done.returncode == DONE and done.stdout == "", done
    with open(out, "rb") as file:
        return out, file.read(), done.stderr


def check_record(record, family, case):
    kind, value, ind = record
    value = ear.base64url(value) if isinstance(value, str) else value
    assert kind == "application/vnd.bulla." + MEDIA[family] and value == case.evidence and ind == EVIDENCE, (family, kind, ind)


def check_collection(items, family, case):
    """Evidence under `tee`, each file of collateral as it was under names in order."""
    values = [ear.base64url(value) if isinstance(value, str) else value for _, value, _ in list(items.values())[1:]]
    assert list(items)[0] == "tee" and list(items)[1:] == [f"collateral-{i:02}" for i in range(1, len(items))], list(items)
    check_record(items["tee"], family, case)
    assert values == list(case.files()), family
    assert all(ind == ENDORSEMENTS and kind.startswith("application/") for kind, _, ind in list(items.values())[1:]), items


def der_octets(data):
    assert data[0] == 4
    size = data[1] & 0x7f if data[1] & 0x80 else 0
    assert len(data) == 2 + size + (int.from_bytes(data[2:2 + size], "big") if size else data[1])
    return data[2 + size:]


@tap.case
def evidence_travels_in_every_envelope_and_back():
    for family in FAMILIES:
        case = Case(family + "-held")
        path = evidence(case)
        collateral = [word for word in case.options() if "collateral" in word]
        anchor = case.options()[:2]
        for more, look in [([], check_record)] + ([(collateral, check_collection)] if collateral else []):
            paths = {form: convert(path, form, *more) for form in ("cmw", "cmw-json", "cmw-x509")}
            look(ear.whole(paths["cmw"][1]), family, case)
            look(json.loads(paths["cmw-json"][1]), family, case)
            assert der_octets(paths["cmw-x509"][1]) == paths["cmw"][1], family
            for form, (wrapped, data, _) in paths.items():
                assert convert(wrapped, "raw")[1] == case.evidence, (family, form)
                for other in paths:
                    assert convert(wrapped, other)[1] == paths[other][1], (family, form, other)
                done = attest("verify", wrapped, "--any-code", "--at", str(case.now // 1000), *(case.expected() or ["--any-nonce"]), *anchor,
                              *([] if more else collateral))
                assert done.returncode in (DONE, HOLDS) and done.stdout.startswith("ACCEPTED"), (family, form, done)
        assert ("left out" in convert(paths["cmw"][0], "raw")[2]) == bool(collateral), family
        assert convert(path, "raw")[1] == case.evidence


@tap.case
def a_certificate_carries_the_extension():
    """Put there by openssl, found by bulla."""
    case = Case("tdx-held")
    collateral = [word for word in case.options() if "collateral" in word]
    assert "larger than those" in convert(evidence(case), "cmw-x509", *collateral)[2]
    for family in ("nitro", "snp"):
        case = Case(family + "-held")
        collateral = [word for word in case.options() if "collateral" in word]
        _, value, _ = convert(evidence(case), "cmw-x509", *collateral)
        pem = os.path.join(FOLDER.name, family + ".pem")
        config = write("openssl.cnf", b"[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\n1.3.6.1.5.5.7.1.35=DER:" +
                       b":".join(b"%02x" % byte for byte in value) + b"\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=enclave",
                        "-keyout", os.devnull, "-out", pem, "-config", config], check=True, capture_output=True)
        assert convert(pem, "raw")[1] == case.evidence
        assert convert(pem, "cmw-json")[1] == convert(evidence(case), "cmw-json", *collateral)[1]
        done = attest("verify", pem, "--any-code", *(case.expected() or ["--any-nonce"]), "--at", str(case.now // 1000), *case.options()[:2])
        assert done.returncode in (DONE, HOLDS) and done.stdout.startswith("ACCEPTED"), done


@tap.case
def what_was_read_is_shown_whoever_signed_it():
    """The body of a quote, the challenge of a token: named as part of what is refused, never as zeros or nothing."""
    for family, measurement, report_data in (("sgx", (64, 32), (320, 64)), ("tdx", (136, 48), (520, 64))):
        for rule in ("pck-present", "chain-signatures", "qe-signature", "qe-binding", "signature", "qe-vendor"):
            case = Case(f"{family}-{rule}")
            body = case.evidence[54 if case.evidence[0] == 5 else 48:]
            expected = [body[at:at + size].hex() for at, size in (measurement, report_data)]
            words = ["show", evidence(case), *case.options()]
            told = json.loads(attest(*words, "--json").stdout)
            assert told["verdict"] == "refused" and told["claims"]["measurement"] == expected[0], (case.name, told)
            assert told["claims"]["report-data"] == expected[1], (case.name, told)
            whole = attest(*words, "-v").stdout
            assert all(value in whole for value in expected), (case.name, whole)
            for done in (attest(*words), attest("verify", *words[1:], "--any-code", "--any-nonce", "--at", str(case.now // 1000))):
                code = f"measurement {expected[0][:12]}.." if int(expected[0], 16) else "no measurement but zeros"
                assert done.returncode == FAILED and code in done.stdout, (case.name, done)
                assert f"report-data {expected[1][:12]}.." in done.stdout, (case.name, done)
    done = attest("show", evidence(Case("psa-held")))  # without the device's key
    assert done.returncode == FAILED and "bound to  report-data " in done.stdout, done


def fetch(*words, code=REFUSED):
    done = attest("fetch", *words, "--from", "https://localhost:1")
    assert done.returncode == code, done
    return done.stderr


@tap.case
def fetch_says_what_it_cannot_read():
    """As `show` names it; nobody is asked, and nothing is said to need nothing."""
    bad = {"garbage": os.urandom(4) + b"\0" * 96, "text": b"# A README\n", "nothing": b""}
    bad.update({family: Case(family + "-held").evidence[:300] for family in FAMILIES})
    for name, data in bad.items():
        path = write(name + ".cut", data)
        told = json.loads(attest("show", path, "--json").stdout)
        said = fetch(path)
        assert said.startswith(f"error[{told['error']}]: {told['failed']}: ") and "no collateral" not in said, (name, said)
    for family in ("psa", "cca"):
        assert "nothing to fetch: " in (said := fetch(evidence(Case(family + "-held")), code=DONE)) and "--anchor" in said, said
    case = Case("nitro-held")
    assert "needs no collateral" in fetch(evidence(case), *case.options()[:2], "--at", str(case.now // 1000), code=DONE)


@tap.case
def fetch_wants_the_chain_that_a_quote_lacks():
    for family in ("sgx", "tdx"):
        case, held = Case(family + "-pck-present"), Case(family + "-held")
        words = [evidence(case), *held.options()[:2], "--at", str(case.now // 1000)]
        said = fetch(*words)
        assert said.startswith("error[evidence-chain]: pck-present: ") and "next: --collateral" in said, said
        chain = held.evidence[held.evidence.index(b"-----BEGIN"):].rstrip(b"\0")
        assert "error[unreachable]" in fetch(*words, "--collateral", write("chain.pem", chain), "--ca", ca(), code=AGAIN)


@tap.case
def what_cannot_be_converted_is_said():
    case = Case("nitro-held")
    record = convert(evidence(case), "cmw")[1]
    text = json.dumps(["application/vnd.bulla.snp-report", base64.urlsafe_b64encode(case.evidence).decode().rstrip("="), 4]).encode()
    for name, data, said in (("garbage", b"\0" + os.urandom(299), "known kind"), ("nothing", b"", "known kind"), ("half", record[:-1], "known kind"),
                             ("label", record.replace(b"nitro-document+cbor", b"nitro-document+text"), "another kind"),
                             ("label in JSON", text, "another kind"), ("results", record[:-1] + b"\x08", "no evidence")):
        out = os.path.join(FOLDER.name, "never")
        done = attest("convert", write("bad", data), "--as", "cmw-json", "-o", out)
        assert done.returncode == REFUSED and said in done.stderr and done.stdout == "" and not os.path.exists(out), (name, done)
    done = attest("convert", evidence(case), "--as", "cmw", "--collateral", write("bad", b"no certificate"))
    assert done.returncode == REFUSED and "no collateral" in done.stderr and done.stdout == "", done
    done = attest("convert", NOWHERE, "--as", "cmw-json")
    assert done.returncode == NOT_FOUND, done
    main, side = pty.openpty()
    done = subprocess.run([BULLA, "attest", "convert", evidence(case), "--as", "cmw"], stdout=side, stderr=subprocess.PIPE, text=True)
    assert done.returncode == USAGE and "do not go to a terminal" in done.stderr, done
    os.close(side)
    os.close(main)


@tap.case
def a_lost_binding_is_told():
    """RA-TLS certificates bind their key through the report data: the evidence alone does so only for who expects that value."""
    pem = os.path.join(ROOT, "tests/fuzz/corpus/collateral/ratls_ego")
    with open(pem, "rb") as file:
        out, _, told = convert(write("ratls", file.read()), "cmw")
    binder = told.split("--binder ")[1].strip()
    assert len(binder) == 128, told
    assert json.loads(attest("show", out, "--json").stdout)["tee"] in ("sgx", "none")


tap.main()
