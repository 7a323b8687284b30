"""`bulla attest` as somebody uses it who has a file of evidence: what is typed wrong is refused before any file is read, reference values come
from what deserves it."""
import json
import os
import subprocess
import time

import ear
from attest_cases import FAMILIES, FOLDER, Case, write
from project import BUILD, Tap

DONE, FAILED, USAGE, NOT_FOUND, HOLDS, REFUSED = 0, 1, 2, 3, 4, 5
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
        ([*verify, "--at", "yesterday"], "`--at` takes a time"),
        ([*verify, "--at", "2025-02-30T00:00:00Z"], "`--at` takes a time"),
        ([*verify, "-o", NOWHERE], "with which key"),
        ([*verify, *many], "more than 16"),
        (["show", NOWHERE, *many], "more than 16"),
        (["reference", NOWHERE, *many], "more than 16"),
        (["serve", "nobody", "--any-code", "--key", NOWHERE], "address"),
        (["serve", "unix:" + NOWHERE, "--key", NOWHERE], "which code is expected"),
        ([*serve, *reference, "--key", NOWHERE], "do not go together"),
        (serve, "with which key"),
        ([*serve, "--key", NOWHERE, "--anchor", NOWHERE, *many], "more than 16"),
        (["serve", "192.0.2.1:9", "--any-code", "--key", NOWHERE, "--plain"], "without TLS others"),
        ([*serve, "--key", NOWHERE, "--plain", "--tls-key", NOWHERE, "--tls-cert", NOWHERE], "no use for a TLS key"),
        ([*serve, "--key", NOWHERE, "--tls-key", NOWHERE], "go together"),
        ([*serve, "--key", NOWHERE, "--tls-cert", NOWHERE], "go together"),
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
    assert len(tiers) > 1, tiers


tap.main()
