"""The verifier's peers: where each comes from, how it is had and called, and which of its verdicts differ from ours, and why."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

GO = {"google": ["github.com/google/go-sev-guest@v0.15.0", "github.com/google/go-tdx-guest@v0.3.1"],
      "nitrite": ["github.com/hf/nitrite@v0.0.0-20241225144000-c2d5d3c4f303"]}
NPM = "@phala/dcap-qvl@0.3.9"
PYPI = "dcap-qvl==0.7.0"
CRATE = 'dcap-qvl = "=0.7.1"\nserde_json = "1"\n'

# (peer, sample) -> (its verdict, why it is not ours); ours is what `ours()` below gives
DIFFERENCES = {
    ("go-sev-guest", "sev-snp/turin-v5-report.bin"): ("refused", "does not know OID ..3704.1.3.9: FMC is a TCB part of Turin"),
    ("go-sev-guest", "sev-snp/milan-v3-vlek-vmpl1.bin"): ("refused", "takes an ASVK only from its own fetch; to us it is collateral"),
    ("go-tdx-guest", "tdx/v5-td-preserving.bin"): ("refused", "version 5 is not supported"),
    ("go-tdx-guest", "tdx/v5-tdx15-svn2.bin"): ("refused", "version 5 is not supported"),
    ("go-tdx-guest", "tdx/v5-tdx15-below-all-levels.bin"): ("refused", "version 5 is not supported"),
    ("dcap-qvl", "tdx/v4-tdx10-uptodate.bin + 00"): ("accepted", "bytes behind a quote are ignored; to us every length must fit"),
    ("dcap-qvl", "sgx/v3-confignswhardening.bin + 00"): ("accepted", "bytes behind a quote are ignored; to us every length must fit"),
}


def vectors():
    """The folder of the genuine samples, or None."""
    for folder in (os.environ.get("BULLA_VECTORS"), os.path.join(ROOT, "..", "shared", "vectors")):
        if folder and os.path.exists(os.path.join(folder, "nitro", "expect.json")):
            return os.path.abspath(folder)
    return None


class NotToBeHad(Exception):
    pass


def call(*command, cwd=None, env=None):
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=1500)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotToBeHad(str(error)) from error
    if done.returncode != 0:
        raise NotToBeHad(((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1])


def fresh(folder, *files):
    os.makedirs(folder, exist_ok=True)
    for name, target in files:
        os.makedirs(os.path.dirname(os.path.join(folder, target)), exist_ok=True)
        shutil.copy(os.path.join(HERE, name), os.path.join(folder, target))


def go(name, folder):
    fresh(folder, (name + ".go", "main.go"))
    env = dict(os.environ, GOFLAGS="-buildvcs=false -mod=mod")
    if not os.path.exists(os.path.join(folder, "go.mod")):
        call("go", "mod", "init", "peer", cwd=folder, env=env)
    call("go", "get", *GO[name], cwd=folder, env=env)
    call("go", "build", "-o", "peer", ".", cwd=folder, env=env)
    return [os.path.join(folder, "peer")], {}


def npm(_, folder):
    fresh(folder, ("qvl.cjs", "qvl.cjs"))
    call("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, NPM)
    return ["node", os.path.join(folder, "qvl.cjs")], {}


def pypi(_, folder):
    fresh(folder, ("qvl.py", "qvl.py"))
    site = os.path.join(folder, "site")
    if not os.path.isdir(os.path.join(site, "dcap_qvl")):
        call(sys.executable, "-m", "pip", "install", "-q", "--target", site, PYPI)
    return [sys.executable, os.path.join(folder, "qvl.py")], {"PYTHONPATH": site}


def crate(_, folder):
    fresh(folder, ("qvl.rs", "src/main.rs"))
    with open(os.path.join(folder, "Cargo.toml"), "w", encoding="ascii") as file:
        file.write('[package]\nname = "peer"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n' + CRATE)
    call("cargo", "build", "--release", "-q", cwd=folder)
    return [os.path.join(folder, "target", "release", "peer")], {}


PEERS = {"google": go, "nitrite": go, "npm": npm, "pypi": pypi, "crate": crate}


def get(name, build):
    """Command and environment of a peer; NotToBeHad says why not."""
    command, env = PEERS[name](name, os.path.join(build, "peers", name))
    return command, dict(os.environ, **env)


def rows(command, env, *arguments, prefix=()):
    done = subprocess.run([*prefix, *command, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def expected_difference(row):
    """(verdict, why) of DIFFERENCES, whichever of dcap-qvl's forms it is."""
    peer = "dcap-qvl" if row["peer"].startswith("dcap-qvl") else row["peer"]
    return DIFFERENCES.get((peer, row["sample"]))
