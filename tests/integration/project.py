"""A project of its own for one integration test: temporary folders, the built programs, TAP output. Not a test itself."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("BULLA_BUILD", "build")


class Project:
    """One `bulla init` in a temporary folder, with state and keys of its own. `with Project("loan") as p:`"""

    def __init__(self, template="loan", text=None):
        self.work = tempfile.mkdtemp(prefix="bulla-test-")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BULLA_"))}
        self.env.update(HOME=self.work + "/home", XDG_STATE_HOME=self.work + "/s", XDG_CONFIG_HOME=self.work + "/config",
                        XDG_RUNTIME_DIR=self.work + "/r", NO_COLOR="1")
        os.makedirs(self.env["HOME"])
        self.bulla = os.path.abspath(os.path.join(BUILD, "src/cmd/bulla"))
        self.dir = os.path.join(self.work, "p")
        self.run("init", template, self.dir, check=0, cwd=self.work)
        if text is not None:
            self.write("bulla.yaml", text)
        self.name = self.read("bulla.yaml").split("project:")[1].split()[0]
        self.state = f"{self.work}/s/bulla/{self.name}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("down")
        for pid in self.pids().values():  # what `down` left behind is a failure of its own, but must not stay
            os.kill(pid, signal.SIGKILL)
        if os.environ.get("BULLA_KEEP"):
            print("# kept", self.work)
        else:
            shutil.rmtree(self.work, ignore_errors=True)

    def write(self, path, text, mode=0o644):
        full = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(full, mode)

    def read(self, path):
        with open(os.path.join(self.dir, path), encoding="utf-8") as file:
            return file.read()

    def run(self, *args, check=None, cwd=None, stdin="", timeout=90, binary=False):
        """Runs `bulla ARGS` in the project; check: the exit code it must have."""
        result = subprocess.run([self.bulla, *args], cwd=cwd or self.dir, env=self.env, input=None if binary else stdin,
                                text=not binary, capture_output=True, timeout=timeout)
        if check is not None and result.returncode != check:
            logs = "".join(self.log(name) for name in ("platform/log", "broker/log", "host/log", "platform/enclaves.log"))
            raise AssertionError(f"bulla {' '.join(args)}: exit {result.returncode}, not {check}\n"
                                 f"{result.stdout}{result.stderr}{logs}")
        return result

    def log(self, name):
        try:
            with open(os.path.join(self.state, name), encoding="utf-8", errors="replace") as file:
                return f"--- {name}\n" + "".join(file.readlines()[-15:])
        except (OSError, AttributeError):
            return ""

    def start(self, *args):
        return subprocess.Popen([self.bulla, *args], cwd=self.dir, env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def json(self, *args, check=0):
        return [json.loads(line) for line in self.run("--json", *args, check=check).stdout.splitlines()]

    def pids(self):
        """Running programs of this project: {"bullad": pid, "bulla-kms": pid, "bulla-enclave HANDLE": pid, ...}."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            name = os.path.basename(words[0])
            if not name.startswith("bulla") or not any(self.work in word for word in words[1:]):
                continue
            if name.startswith("bulla-enclave"):
                name += " " + next((w for w in words if w.startswith("unix:")), "").rsplit("/", 1)[-1]
            found[int(entry)] = (name, parent)
        # a fork without an exec (zygote, sandbox, a child on its way) has its parent's words, and may have a lower number
        return {name: pid for pid, (name, parent) in found.items() if found.get(parent, ("", 0))[0] != name}

    def kill(self, name):
        os.kill(self.pids()[name], signal.SIGKILL)


class Skip(Exception):
    """Raised by a case that cannot run here, with the reason."""


class Tap:
    """Prints TAP; a failed case goes on with the next one."""

    def __init__(self):
        self.cases = []

    def case(self, function):
        self.cases.append(function)
        return function

    def main(self):
        missing = [p for p in ("bulla", "bulla-kms", "bullad", "bulla-enclave", "bulla-platform")
                   if not os.access(os.path.join(BUILD, "src/cmd", p), os.X_OK)]
        if missing:
            print("1..0 # SKIP not built:", *missing)
            sys.exit(0)
        print(f"1..{len(self.cases)}")
        failed = 0
        for number, function in enumerate(self.cases, 1):
            begin = time.monotonic()
            try:
                function()
                print(f"ok {number} - {function.__name__} # {time.monotonic() - begin:.1f} s", flush=True)
            except Skip as why:
                print(f"ok {number} - {function.__name__} # SKIP {' '.join(str(why).split())}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, KeyError, IndexError, OSError, ValueError) as error:
                failed += 1
                print(f"not ok {number} - {function.__name__}", flush=True)
                print("\n".join("# " + line for line in f"{type(error).__name__}: {error}".splitlines()), flush=True)
        sys.exit(1 if failed else 0)
