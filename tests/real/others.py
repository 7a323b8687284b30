"""Virtual environments with other people's programs, made once and kept in the build folder. Not a test itself."""
import hashlib
import os
import subprocess
import sys

BUILD = os.path.abspath(os.environ["BULLA_BUILD"])


def make(*packages):
    """Path of an environment with these packages (pinned, `name==version`); None, and why on stdout, when they cannot be had."""
    path = os.path.join(BUILD, "real", "venv-" + hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12])
    done = os.path.join(path, "done")
    if os.path.exists(done):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for command in ([sys.executable, "-m", "venv", "--clear", path],
                    [os.path.join(path, "bin", "python"), "-m", "pip", "install", "-q", *packages]):
        got = subprocess.run(command, capture_output=True, text=True)
        if got.returncode != 0:
            why = ((got.stderr or got.stdout).strip().splitlines() or ["?"])[-1]
            print(f"# {' '.join(packages)} cannot be installed: {why}")
            return None
    with open(done, "w", encoding="ascii"):
        pass
    return path


def enter(*packages):
    """Runs the calling test again inside such an environment; skips the whole test when there can be none."""
    if os.environ.get("BULLA_IN_VENV"):
        return
    path = make(*packages)
    if path is None:
        print("1..0 # SKIP", *packages, "cannot be installed")
        sys.exit(0)
    python = os.path.join(path, "bin", "python")
    os.environ["BULLA_IN_VENV"] = "1"
    os.execv(python, [python, *sys.argv])
