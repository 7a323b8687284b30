"""Payloads of the largest size go all the way; one byte more has its own message, or fails its step, and nothing is stuck."""
from project import Project, Tap

tap = Tap()
MAX = 1 << 20
PROJECT = """project: sizes
agents:
  make: python3 make.py
  same: {stream: cat}
workflows:
  make: [{make: {retry: 1}}]
  pass: [same]
  parts:
    see: {owner: [input, input.a, input.b, input.c]}
    steps: [same]
  joined:
    - make
    - two: {agent: make, input: input}
    - three: {agent: make, input: input}
    - same: {input: {a: make, b: two, c: three}, retry: 1}
"""
MAKE = "import json, sys\nsys.stdout.write('\"' + 'x' * (json.load(sys.stdin)['n'] - 2) + '\"')\n"


def text(size):
    return '"' + "x" * (size - 2) + '"'


@tap.case
def what_is_too_large_says_so_and_all_else_runs():
    with Project("hello", PROJECT) as p:
        p.write("agents/make/make.py", MAKE)
        p.write("agents/same/note", "no code of its own\n")
        p.run("up", check=0)
        for size in (MAX // 2, MAX // 2 + 1, MAX):
            p.write("in.json", text(size))
            assert p.run("run", "pass", "--input", "in.json", check=0).stdout == text(size) + "\n", size
            assert len(p.run("run", "make", "--set", f"n={size}", check=0).stdout) == size + 1, size
        p.write("in.json", text(MAX + 1))
        said = p.run("run", "pass", "--input", "in.json", check=2).stderr
        assert "error[limit]: the input is larger than 1024 KiB" in said, said
        said = p.run("run", "make", "--set", f"n={MAX + 1}", check=1).stderr
        assert "failed at step make: output" in said, said
        part = "x" * 349000
        p.write("in.json", f'{{"a":"{part}","b":"{part}","c":"{part}"}}')
        said = p.run("run", "parts", "--input", "in.json", check=2).stderr
        assert "error[limit]: the input, sealed piece by piece" in said, said
        said = p.run("run", "joined", "--set", "n=800000", check=1).stderr
        assert "failed at step same: failed" in said and "more, together, than an agent is given" in said, said
        assert not p.json("ls", "--state", "stuck")
        for run in [row["run"] for row in p.json("ls")]:
            p.run("verify", run, "--accept", "dev", check=0)


tap.main()
