"""Man pages say what the programs do: each command, option and exit code has its place, and no page names another option."""
import os
import re
import subprocess

from project import BUILD, Tap

tap = Tap()
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def page(name):
    """A page without its fonts."""
    with open(os.path.join(ROOT, "doc/man", name), encoding="utf-8") as file:
        text = re.sub(r"\\f[BRI]", "", file.read()).replace("\\-", "-")
    return re.sub(r'^\.(BR|B|TP|SH|I) ?|" "|"', "", text, flags=re.M).replace(" ,", ",")


def usage(program, *args):
    result = subprocess.run([os.path.join(BUILD, "src/cmd", program), *args, "--help"], capture_output=True, text=True,
                            timeout=20)
    assert result.returncode == 0 and result.stderr == "", result
    return result.stdout


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def commands():
    return [m.group(1) for m in re.finditer(r"^  ([a-z]+(?: [a-z]+)?)(?= |$)", usage("bulla").split("everywhere")[0], re.M)
            if not m.group(1).startswith("bulla")]


def split(name):
    """`attest show`: two words only where help says so."""
    words = name.split()
    known = {("attest", "show"), ("attest", "verify"), ("attest", "reference"), ("attest", "convert"), ("attest", "fetch"), ("attest", "serve"),
             ("attest", "demand"),
             ("key", "new")}
    return words if tuple(words) in known else words[:1]


@tap.case
def each_command_and_option_has_its_place():
    main, attest, missing, known = page("bulla.1"), page("bulla-attest.1"), [], options(usage("bulla"))
    named = [split(name) for name in commands()]
    assert len(named) > 20, named
    for words in named:
        where = attest if words[0] == "attest" else main
        wanted = options(usage("bulla", *words))
        everywhere = options(usage("bulla").split("everywhere")[1])
        if not re.search(rf"(^|[ ,]){' '.join(words)}\b", main, re.M):
            missing.append(" ".join(words))
        missing += [f"{' '.join(words)} {o}" for o in wanted - everywhere if o not in options(where)]
        missing += [f"{o}, everywhere" for o in everywhere if o not in options(main)]
        known |= wanted
    assert not missing, sorted(set(missing))
    for text in (main, attest):
        assert options(text) <= known, sorted(options(text) - known)


@tap.case
def each_exit_code_has_its_place():
    with open(os.path.join(ROOT, "src/cmd/cli.h"), encoding="utf-8") as file:
        codes = set(re.findall(r"^\tEXIT_[A-Z_]+ = (\d+),", file.read(), re.M))
    section = page("bulla.1").split("EXIT STATUS")[1].split("ENVIRONMENT")[0]
    found = {a or b for a, b in re.findall(r"^(\d+)|, +(\d+)$", section, re.M)}
    assert len(codes) > 8 and found == codes, (sorted(found), sorted(codes))


@tap.case
def each_daemon_has_a_page():
    kinds = [name for name in os.listdir(os.path.join(BUILD, "src/cmd")) if re.fullmatch(r"bulla-enclave(-[a-z]+)?", name)]
    assert len(kinds) == 4, kinds
    for program, programs in (("bullad", ["bullad"]), ("bulla-kms", ["bulla-kms"]), ("bulla-enclave", kinds),
                              ("bulla-platform", ["bulla-platform"])):
        text, told = page(program + ".8"), "".join(usage(name) for name in programs)
        assert all(re.search(rf"\b{name}\b", text) for name in programs), program
        assert options(told) | {"--help"} == options(text), (program, options(told) ^ options(text))
        assert all(f"\n{o} " in text or f"\n{o}\n" in text or f", {o}\n" in text for o in options(told)), program


@tap.case
def pages_are_good_roff():
    for name in sorted(os.listdir(os.path.join(ROOT, "doc/man"))):
        try:
            result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(ROOT, "doc/man", name)],
                                    capture_output=True, text=True, timeout=20)
        except FileNotFoundError:
            print("# no groff here")
            return
        assert result.returncode == 0 and result.stderr == "", (name, result.stderr)


tap.main()
