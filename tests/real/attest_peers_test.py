"""Every peer of the verifier that can be had, on the genuine samples: the same verdict as ours, or a difference that peers.py explains."""
import datetime
import json
import os
import subprocess
import sys

BUILD = os.path.abspath(os.environ["BULLA_BUILD"])
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench", "attest_peers"))

import peers  # noqa: E402

from project import Tap  # noqa: E402

tap = Tap()
FOLDER = peers.vectors()
COLLATERAL_AT = {"tdx/v4-tdx10-uptodate": 1751328000, "tdx/v5-tdx15-below-all-levels": 1772323200, "sgx/v3-confignswhardening": 1751328000}
STATUSES = ["UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate"]


def reference():
    """What the peers' own verification asks for: nothing but signatures, chains and (dcap-qvl) a TCB level of any kind."""
    path = os.path.join(BUILD, "peers", "reference.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        json.dump({"v": 1, "tee": ["nitro", "sev-snp", "tdx", "sgx"], "assurance": "hardware", "any-image": True, "debug": True,
                   "snp": {"vmpl": [0, 1, 2, 3], "any-csp": True}, "dcap": {"status": STATUSES, "any-advisory": True,
                   "no-sept-ve-disable": True, "any-service-td": True}}, file)
    return path


def expectation(sample):
    folder, name = sample.split("/")
    with open(os.path.join(FOLDER, folder, "expect.json"), encoding="utf-8") as file:
        return json.load(file)[name]


def when(sample, expected):
    stem = sample.removesuffix(".bin")
    if "verify_at" in expected:
        return expected["verify_at"]
    if "valid_from" not in expected:
        return 1700000000
    start = datetime.datetime.strptime(expected["valid_from"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return COLLATERAL_AT.get(stem, int(start.timestamp()) + 86400)


def collateral(sample, expected, with_tcb):
    stem = os.path.join(FOLDER, sample.removesuffix(".bin"))
    if sample.startswith("sev-snp/"):
        product, kind = expected["product"].split("-")[0].lower(), "asvk" if expected.get("csp_id") else "ask"
        return [os.path.join(FOLDER, "sev-snp", expected["endorsement"]), os.path.join(FOLDER, "roots", f"amd-{product}-{kind}-ark.pem")]
    return [stem + ".collateral.json"] if with_tcb else []


def ours(row):
    """Our verdict on the bytes that the peer judged, at its time and with its collateral."""
    sample, _, suffix = row["sample"].partition(" + ")
    expected, with_tcb = expectation(sample), row["peer"].startswith("dcap-qvl")
    path = os.path.join(FOLDER, sample)
    if suffix:
        with open(path, "rb") as file:
            bytes_ = file.read() + bytes.fromhex(suffix)
        path = os.path.join(BUILD, "peers", "longer.bin")
        with open(path, "wb") as file:
            file.write(bytes_)
    at = COLLATERAL_AT[sample.removesuffix(".bin")] if with_tcb else when(sample, expected)
    if not with_tcb and sample.removesuffix(".bin") in COLLATERAL_AT:
        at = when(sample.replace(".bin", ""), expected)
    command = [os.path.join(BUILD, "src", "cmd", "bulla"), "attest", "verify", path, "--any-nonce", "--at", str(at), "--reference", reference()]
    command += [] if with_tcb else ["--no-collateral"]
    for file in collateral(sample, expected, with_tcb):
        command += ["--collateral", file]
    done = subprocess.run(command, capture_output=True, text=True)
    return "accepted" if done.returncode == 0 else "refused", done.stdout + done.stderr


def compare(name):
    try:
        command, env = peers.get(name, BUILD)
    except peers.NotToBeHad as reason:
        print(f"# SKIPPED {name}: it cannot be had: {reason}")
        return 0
    found = peers.rows(command, env, "verdict", FOLDER)
    assert found, name
    for row in found:
        verdict, text = ours(row)
        explained = peers.expected_difference(row)
        said = f"{row['peer']} on {row['sample']}: {row['verdict']} {row.get('error', '')}; we: {verdict}\n{text}"
        if explained is None:
            assert row["verdict"] == verdict, said
        else:
            assert (row["verdict"], row["verdict"] != verdict) == (explained[0], True), "no longer as explained: " + said
    print(f"# {name}: {len(found)} verdicts compared")
    return len(found)


if FOLDER is None:
    print("1..0 # SKIP no genuine samples: set BULLA_VECTORS")
    sys.exit(0)
counts = {}


@tap.case
def every_peer_agrees_or_differs_as_explained():
    for name in peers.PEERS:
        counts[name] = compare(name)
    assert sum(counts.values()) > 0, "no peer could be had"


tap.main()
