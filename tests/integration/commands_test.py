"""The command line against its documents: each command and option of doc/EXPERIENCE.md is built or refused by name, and
doc/STATUS.md lists what is refused; what is typed wrong is told what is right. Nothing is started."""
import json
import os
import re
import subprocess
import tempfile

from project import BUILD, Tap

tap = Tap()
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
EMPTY = tempfile.mkdtemp(prefix="bulla-test-")
NOT_BUILT = "is not built yet"


def bulla(*args, project=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BULLA_"))}
    env["HOME"] = EMPTY
    if project:
        env["BULLA_PROJECT"] = project
    return subprocess.run([os.path.abspath(os.path.join(BUILD, "src/cmd/bulla")), *args], cwd=EMPTY, env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=20)


def document(name):
    with open(os.path.join(ROOT, "doc", name), encoding="utf-8") as file:
        return file.read()


def has(shown, option):
    """Does a command's help name the option?"""
    return re.search(rf"^ +(-., )?{option}\b|^ +{option},", shown, re.M) is not None


def designed():
    """[(command line words, [options])] of EXPERIENCE.md section 5: `attest show|verify` is two."""
    block = document("EXPERIENCE.md").split("## 5. Commands")[1].split("```")[1]
    found = []
    for row in block.splitlines():
        if not row.startswith("  "):
            continue
        left, *about = re.split(r" {2,}", row.strip(), maxsplit=1)
        parts = re.split(r"; | \| (?=[a-z])", left)
        if len(parts) == 1:
            parts[0] += " " + "".join(about)
        for part in parts:
            words = part.split()
            verbs = words[1].split("|") if len(words) > 1 and re.fullmatch(r"[a-z]+(\|[a-z]+)+", words[1]) else [""]
            if words[0] == "key" or words[:2] == ["agent", "test"] or words[:2] == ["secret", "set"]:
                verbs = [words[1]]
            options = re.findall(r"--[a-z]+|(?<= )-o\b", part)
            found += [([words[0], verb] if verb else [words[0]], options) for verb in verbs]
    assert len(found) > 38, len(found)
    return found


@tap.case
def each_command_and_option_of_the_design_is_built_or_refused_by_name():
    wrong = []
    for words, options in designed():
        shown = bulla(*words, "--help")
        built = shown.returncode == 0 and shown.stdout.startswith("usage: bulla " + words[0])
        if not built and NOT_BUILT not in shown.stderr:
            wrong.append(" ".join(words) + ": " + shown.stderr)
        for option in options:
            if built and has(shown.stdout, option):
                continue
            told = bulla(*words, option, "--help")
            if NOT_BUILT not in told.stderr or told.returncode != 2:
                wrong.append(" ".join([*words, option]) + ": " + told.stderr + told.stdout[:60])
    assert not wrong, "\n".join(wrong)


@tap.case
def the_status_page_lists_what_is_refused():
    line = next(row for row in document("STATUS.md").splitlines() if row.startswith("- **Commands**: "))
    listed = set(re.findall(r"`([^`]+)`", line))
    refused = set()
    for words, options in designed():
        if NOT_BUILT in bulla(*words, "--help").stderr:
            refused.add(words[0])
            continue
        shown = bulla(*words, "--help").stdout
        refused |= {f"{words[0]} {o}" for o in options if not has(shown, o) and NOT_BUILT in bulla(*words, o, "--help").stderr}
    assert listed == refused | {"init coldchain"}, (sorted(listed - refused), sorted(refused - listed))
    assert NOT_BUILT in bulla("init", "coldchain").stderr
    for name in listed:
        assert "next: " in bulla(*name.split()).stderr, name


@tap.case
def what_is_typed_wrong_is_told_what_is_right():
    cases = [
        (("verify", "--accept", "everything", "x"), 2, "`--accept` does not take `everything`", "dev"),
        (("verify", "--at", "5", "x"), 2, "`bulla verify --at` is not built yet", "verify"),
        (("--color", "maybe", "ls"), 2, "`--color` does not take `maybe`", "auto"),
        (("attest", "verify", "x", "--max-age", "soon"), 2, "`--max-age` does not take `soon`", "30s"),
        (("--timeout", "5", "wait"), 2, "`--timeout` does not take `5`", "30s"),
        (("attest", "verify", "x", *["--collateral=y"] * 65), 2, "`--collateral`", "64"),
        (("run", "x", *["--set=y=1"] * 65), 2, "`--set`", "64"),
        (("attest", "serve", "unix:x", "--nonce", "00"), 2, "`bulla attest serve` has no option `--nonce`", "--help"),
        (("attest", "serve", "unix:x", "--at", "5"), 2, "`bulla attest serve` has no option `--at`", "--help"),
        (("attest", "fetch", "x", "--checks"), 2, "has no option `--checks`", "--help"),
        (("attest", "show", "x", "--any-code"), 2, "`bulla attest show` has no option `--any-code`", "--help"),
        (("attest", "fetch", "x", "--nonce", "00"), 2, "`bulla attest fetch` has no option `--nonce`", "--help"),
        (("attest", "prove", "x"), 2, "show, verify, reference, convert, fetch, serve", "prove"),
        (("key", "old", "sam"), 2, "`bulla key`", "new"),
        (("run", "x", "--id", ""), 2, "`--id` does not take ``", "--id ID"),
        (("ls", "--checks=1"), 2, "`--checks` takes no value", ""),
        (("-C", "/nosuch", "ls"), 3, "there is no folder `/nosuch`", "init TEMPLATE"),
        (("-C", EMPTY, "ls"), 3, f"there is no bulla.yaml in `{EMPTY}`", "init TEMPLATE"),
        (("ls",), 3, "here or above", "bulla init loan"),
        (("shwo",), 2, "there is no command `shwo`", "bulla show"),
    ]
    for args, code, what, more in cases:
        for form in ((), ("--json",)):
            result = bulla(*form, *args)
            said = result.stderr + result.stdout
            assert result.returncode == code and what in said and more in said, (args, form, result)
            if form:
                assert [json.loads(row)["t"] for row in result.stdout.splitlines()] == ["error"], result
    assert "BULLA_PROJECT" in bulla("ls", project="/nosuch").stderr


@tap.case
def programs_that_are_not_there_are_named_before_anything_starts():
    folder = os.path.join(EMPTY, "lacking")
    os.makedirs(os.path.join(folder, "agents/b"))
    with open(os.path.join(folder, "agents/b/text"), "w", encoding="ascii") as file:
        file.write("no program\n")
    with open(os.path.join(folder, "bulla.yaml"), "w", encoding="ascii") as file:
        file.write("project: lacking\nagents:\n  a: ./built-later\n  b: {run: ./text}\n  c: no-such-program .\n  d: cat\n"
                   "workflows: {w: [a, b, c, d]}\n")
    for command in ("check", "up"):
        result = bulla("-C", folder, command)
        assert result.returncode == 2, result
        for what in ("bulla.yaml:3:3: error[no-program]: `./built-later` is no file in agents/a",
                     "bulla.yaml:4:3: error[no-program]: `./text` in agents/b is no program",
                     "bulla.yaml:5:3: error[no-program]: `no-such-program` is not in"):
            assert what in result.stderr, (what, result.stderr)
        assert result.stderr.count("error[") == 3, result.stderr


@tap.case
def output_that_goes_nowhere_is_an_error():
    folder = os.path.join(EMPTY, "whole")
    os.makedirs(folder)
    with open(os.path.join(folder, "bulla.yaml"), "w", encoding="ascii") as file:
        file.write("project: whole\nagents: {d: cat}\nworkflows: {w: [d]}\n")
    program = os.path.abspath(os.path.join(BUILD, "src/cmd/bulla"))
    for words in ("check", "--help", "explain limit"):
        for out in (">/dev/full", ">&-", "<&- >&-"):
            result = subprocess.run(f"exec {program} -C {folder} {words} {out}", shell=True, env={"HOME": EMPTY}, text=True,
                                    stderr=subprocess.PIPE, timeout=20)
            assert result.returncode == 5 and "error[io]: the output cannot be written" in result.stderr, (words, out, result)
    # a key that is made when everything is closed holds no talk
    subprocess.run(f"exec {program} -C {folder} key new sam <&- >&- 2>&-", shell=True, env={"HOME": EMPTY}, check=False, timeout=20)
    for name in ("sam.key",):
        for top, _, names in os.walk(EMPTY):
            if name in names:
                with open(os.path.join(top, name), "rb") as file:
                    assert b"next" not in file.read(), top


@tap.case
def what_is_no_bundle_is_called_so():
    path = os.path.join(EMPTY, "some.txt")
    for text in ("", "{}", "x" * 5000):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        result = bulla("verify", path)
        assert result.returncode == 1, result
        for what in (f"REFUSED  {path}: do not use", "bundle-damaged  these are not the bytes of a bundle", "get it again"):
            assert what in result.stdout, (what, result)
        assert "proof" not in result.stdout and "00000000" not in result.stdout, result


@tap.case
def long_paths_are_named():
    folder = os.path.join(EMPTY, "whole")
    long = "/" + "d" * 200
    cases = [({"XDG_STATE_HOME": long * 6}, "ls", "longer than 768 bytes"),
             ({"XDG_RUNTIME_DIR": long}, "up", "longer than 76 bytes: no socket can have its name")]
    for env, command, what in cases:
        result = subprocess.run([os.path.abspath(os.path.join(BUILD, "src/cmd/bulla")), "-C", folder, command], text=True,
                                env={"HOME": EMPTY, **env}, capture_output=True, timeout=20)
        assert result.returncode == 2 and "error[limit]" in result.stderr and what in result.stderr, result


@tap.case
def a_time_is_a_date_or_seconds():
    corpus = os.path.join(ROOT, "tests/fuzz/corpus/nitro")
    evidence = os.path.join(corpus, sorted(os.listdir(corpus))[0])
    for at in ("2025-12-99T16:04:19Z", "2025-12-25T16:04:19+02:00", "2025-12-25T16:04:19Zjunk", "2025-12-25", "99x", "-5",
               "2025-12-25T16:04:19"):
        result = bulla("attest", "verify", evidence, "--any-code", "--any-nonce", "--at=" + at)
        assert result.returncode == 2 and "`--at` takes a time in UTC" in result.stderr, (at, result)
    for at in ("2025-12-25T16:04:19Z", "1766678659"):
        assert "`--at`" not in bulla("attest", "verify", evidence, "--any-code", "--any-nonce", "--at", at).stderr


tap.main()
