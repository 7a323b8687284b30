"""The verifier for people who want nothing else of Bulla: installed into an empty folder, its headers, pkg-config file, man pages and
example are all that another program needs; libcrypto is all that it links."""
import os
import re
import shutil
import subprocess
import tempfile

from project import BUILD, Skip, Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
tap = Tap()
FOLDER = tempfile.TemporaryDirectory()


def run(*command, **options):
    done = subprocess.run(command, cwd=FOLDER.name, capture_output=True, text=True, timeout=120, **options)
    return done.returncode, done.stdout + done.stderr


def installed(ending):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(FOLDER.name) for name in names if name.endswith(ending))


def flags(*what):
    env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=FOLDER.name, PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
               PKG_CONFIG_PATH=os.path.dirname(installed("bulla-attest.pc")[0]))
    code, text = run("pkg-config", *what, "bulla-attest", env=env)
    assert code == 0, text
    return text.split()


@tap.case
def it_installs():
    code, text = run("meson", "install", "-C", BUILD, "--no-rebuild", "--tags", "devel,man", env=dict(os.environ, DESTDIR=FOLDER.name))
    assert code == 0, text
    assert len(installed("bulla-attest.pc")) == 1 and len(installed("libbulla-attest.a")) == 1
    for page in ("bulla-attest.1", "bulla-attest.3"):
        with open(installed(page)[0], encoding="utf-8") as file:
            assert re.search(r"^\.S[hH] .?NAME", file.read(), re.M), page


@tap.case
def each_header_compiles_alone():
    for header in installed(".h"):
        name = header.split("/include/bulla/")[1]
        with open(os.path.join(FOLDER.name, "one.c"), "w", encoding="ascii") as file:
            file.write(f"#include <{name}>\nint unused;\n")
        code, text = run("cc", "-std=gnu17", "-Wall", "-Werror", *flags("--cflags"), "-c", "one.c", "-o", "one.o")
        assert code == 0, name + "\n" + text


@tap.case
def nothing_but_its_own_names_is_exported():
    code, text = run("nm", "-g", "--defined-only", installed("libbulla-attest.a")[0])
    assert code == 0, text
    names = {line.split()[2] for line in text.splitlines() if len(line.split()) == 3}
    assert len(names) > 100 and all(name.startswith("bulla_") for name in names), [n for n in names if not n.startswith("bulla_")]


@tap.case
def the_example_is_cpp_too():
    """With one include more and one cast: C++ does not take a number for an enum."""
    if shutil.which("c++") is None:
        raise Skip("no C++ compiler")
    with open(os.path.join(ROOT, "examples", "attest", "appraise.c"), encoding="ascii") as file:
        text = file.read().replace("attest/attest.h>", "attest/attest.hpp>").replace("name(result.failed)", "name((bulla_factor)result.failed)")
    with open(os.path.join(FOLDER.name, "appraise.cc"), "w", encoding="ascii") as file:
        file.write(text)
    code, said = run("c++", "-std=c++20", "-Wall", "-Werror", "appraise.cc", *flags("--cflags", "--libs"), "-o", "appraise_cc")
    assert code == 0, said
    code, said = run("./appraise_cc", os.path.join(ROOT, "tests", "fuzz", "corpus", "nitro", "held"))
    assert code == 1 and said.startswith("anchor at byte "), said


@tap.case
def the_example_is_a_verifier():
    with open(os.path.join(ROOT, "examples", "attest", "appraise.c"), encoding="ascii") as file:
        text = file.read()
    body = [line for line in text.splitlines() if line.strip() and not line.startswith(("/*", " *", "#include"))]
    assert len(body) <= 30, len(body)
    with open(os.path.join(FOLDER.name, "appraise.c"), "w", encoding="ascii") as file:
        file.write(text)
    code, said = run("cc", "-std=gnu17", "-Wall", "-Werror", "appraise.c", *flags("--cflags", "--libs"), "-o", "appraise")
    assert code == 0, said
    code, said = run("./appraise", os.path.join(ROOT, "tests", "fuzz", "corpus", "nitro", "held"))
    assert code == 1 and said.startswith("anchor at byte "), said
    code, said = run("objdump", "-p", "./appraise")
    libraries = {line.split()[1].split(".so")[0] for line in said.splitlines() if line.split()[:1] == ["NEEDED"]}
    assert {"libcrypto", "libc"} == {name for name in libraries if not name.startswith("ld-")}, said  # the loader holds TLS


tap.main()
