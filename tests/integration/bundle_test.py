"""A bundle is read as a stream: one that is larger than what may be kept of it opens, shows its logs and verifies, in the
memory of a small one."""
import hashlib
import os
import subprocess
import sys

from project import Project, Tap

tap = Tap()

COLLATERAL, TRAILER = 5, 16
PAD, PIECES = (2 << 20) - 64, 24
VERIFY_KIB, OPEN_KIB = 16 << 10, 24 << 10  # resident, at the highest


def head(major, value):
    """A CBOR head in its shortest form."""
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 24:
            return bytes([major << 5 | value])
        if value < 1 << 8 * size:
            return bytes([major << 5 | code]) + value.to_bytes(size, "big")
    raise ValueError(value)


def item(kind, body):
    return b"\x82" + head(0, kind) + head(2, len(body)) + body


def items(data):
    """[(kind, the whole item)] of a bundle."""
    at, found = 0, []
    while at < len(data):
        begin, kind = at, data[at + 1]
        at += 2
        low = data[at] & 31
        at += 1
        size = low if low < 24 else int.from_bytes(data[at:at + (1 << low - 24)], "big")
        at += (0 if low < 24 else 1 << low - 24) + size
        found.append((kind, data[begin:at]))
    return found


def padded(data):
    """The same run with much collateral that nothing needs, before the trailer."""
    whole = items(data)
    assert whole[-1][0] == TRAILER, whole[-1][0]
    body = whole[:-1] + [(COLLATERAL, item(COLLATERAL, bytes([i]) * PAD)) for i in range(PIECES)]
    text = b"".join(part for _, part in body)
    counts = [sum(kind == k for kind, _ in body) for k in range(TRAILER)]
    trailer = b"\x83\x01\x90" + b"".join(head(0, n) for n in counts) + b"\x58\x20" + hashlib.sha256(text).digest()
    return text + item(TRAILER, trailer)


# A process inherits the peak memory of the one that starts it (exec keeps it): a small one stands between.
MEASURE = """import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss, file=sys.stderr)
os._exit(os.waitstatus_to_exitcode(status))"""


def measured(project, *args):
    """Output, exit code, and the most memory (KiB) that `bulla ARGS` took."""
    result = subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, project.bulla, *args], cwd=project.dir,
                            env=project.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return result.stdout, result.returncode, int(result.stderr.splitlines()[-1])


@tap.case
def a_bundle_larger_than_memory_allowed_is_read_as_a_stream():
    with Project() as p:
        p.run("up", check=0)
        p.run("run", "loan", "--input", "incomplete.json", check=1)
        p.run("bundle", "-o", "failed", check=0)
        p.run("run", "loan", "--input", "application.json", check=0)
        p.run("bundle", "-o", "small", check=0)
        for name in ("small", "failed"):
            with open(os.path.join(p.dir, name), "rb") as file:
                large = padded(file.read())
            assert len(large) > 45 << 20, len(large)
            with open(os.path.join(p.dir, name + ".large"), "wb") as file:
                file.write(large)
        for args, code, least in ((("verify", "FILE"), 4, VERIFY_KIB), (("open", "FILE"), 0, OPEN_KIB),
                                  (("open", "FILE", "decide"), 0, OPEN_KIB), (("logs", "FILE"), 0, OPEN_KIB)):
            name = "failed" if args[0] == "logs" else "small"
            small = measured(p, *[name if a == "FILE" else a for a in args])
            large = measured(p, *[name + ".large" if a == "FILE" else a for a in args])
            print("#", *args, "KiB:", small[2], large[2])
            assert large[1] == small[1] == code, (args, small, large)
            if args[0] != "verify":
                assert large[0] == small[0] and large[0] != "", (args, small, large)
            assert large[2] <= least, (args, large[2])
        damaged = bytearray(large_of(p, "small.large"))
        damaged[40 << 20] ^= 1
        p.write("damaged", "")
        with open(os.path.join(p.dir, "damaged"), "wb") as file:
            file.write(damaged)
        result = p.run("open", "damaged", check=5)
        assert result.stdout == "" and "bundle" in result.stderr, result


def large_of(project, name):
    with open(os.path.join(project.dir, name), "rb") as file:
        return file.read()


def highest(pid, anew=False):
    """The most memory (KiB) that a program had resident, since it began or since `anew`."""
    if anew:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1])


@tap.case
def a_run_larger_than_memory_allowed_has_a_bundle():
    """It goes through engine, broker and client piece by piece."""
    count = 60
    steps = "".join(f"    - s{i}: {{agent: a{i % 2}}}\n" for i in range(count))
    text = f"project: wide\nagents:\n  a0: cat\n  a1: cat\nworkflows:\n  wide:\n{steps}"
    with Project("hello", text) as p:
        p.run("up", check=0)
        p.write("input.json", '"' + "x" * 500000 + '"')
        p.run("run", "wide", "--input", "input.json", check=0)
        p.run("down", check=0)
        p.run("up", check=0)  # what the run itself took is gone
        pids = [p.pids()[name] for name in ("bullad", "bulla-kms")]
        before = [highest(pid, anew=True) for pid in pids]
        for args, code in ((("bundle", "-o", "whole"), 0), (("verify",), 4), (("verify", "whole"), 4), (("logs",), 0),
                           (("open",), 0), (("show",), 0)):
            out, got, client = measured(p, *args)
            print("#", args[0], "KiB: client", client, *(f"{name} {was}->{highest(pid)}" for name, pid, was in
                                                          zip(("bullad", "bulla-kms"), pids, before)))
            assert got == code, (args, got, out)
            assert client < OPEN_KIB, (args, client)
        size = os.path.getsize(os.path.join(p.dir, "whole"))
        assert size > 30 << 20, size
        assert not os.path.exists(os.path.join(p.dir, "whole.new"))
        for pid, was in zip(pids, before):
            assert highest(pid) < was + (12 << 10), (was, highest(pid))
        assert {len(items(large_of(p, "whole")))} == {len(items(p.run("bundle", "-o", "-", binary=True, check=0).stdout))}
        bundling = p.start("bundle", "-o", "cut")  # the engine dies under it: no half of a bundle stays
        p.kill("bullad")
        out = bundling.communicate(timeout=60)
        assert bundling.returncode == 0 or not os.path.exists(os.path.join(p.dir, "cut")), out
        assert not os.path.exists(os.path.join(p.dir, "cut.new")), out


tap.main()
