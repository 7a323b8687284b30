"""Whose manifest: the state folder is the host's to write, and that makes nobody an owner."""
import glob
import shutil
import time

from project import Project, Tap

tap = Tap()


@tap.case
def a_manifest_that_is_not_yours_is_not_used():
    """The state folder is the host's to write: a manifest that somebody else made, approved by himself, in the place of yours."""
    with Project() as p, Project() as other:
        p.run("up", check=0)
        other.run("up", check=0)
        for name in ("manifest", "approval"):
            shutil.copy(f"{other.state}/owner/{name}", f"{p.state}/owner/{name}")
        refused = p.run("run", "loan", "--input", "application.json", check=5)
        assert "approvals-missing" in refused.stderr, refused.stderr


@tap.case
def what_keeps_the_programs_from_starting_is_said_at_once():
    """Not after fifteen or thirty seconds of waiting, and not only in a log."""
    def up(p, code, *words):
        begin = time.monotonic()
        refused = p.run("up", check=code)
        assert time.monotonic() - begin < 14, (time.monotonic() - begin, refused.stderr)
        assert all(word in refused.stderr for word in words), (words, refused.stderr)
        p.run("down")

    with Project("hello") as p:
        p.run("up", check=0)
        p.run("down", check=0)
        key = p.env["XDG_CONFIG_HOME"] + "/bulla/owner.key"
        shutil.move(key, key + ".mine")
        p.run("key", "new", "owner", check=0)
        up(p, 5, "owner-unknown", "next: use the key that set this project up")
        shutil.move(key + ".mine", key)
        journal = f"{p.state}/broker/journal"  # keys whose ledger is gone
        shutil.move(journal, journal + ".aside")
        up(p, 5, "error[corrupt]", "newest whole copy")
        shutil.rmtree(journal)
        shutil.move(journal + ".aside", journal)
        root = f"{p.state}/platform/root.der"  # the supervisor does not even begin
        shutil.move(root, root + ".aside")
        with open(root, "wb") as file:
            file.write(b"no certificate")
        up(p, 5, "error[supervisor-ended]", "platform/log")
        shutil.move(root + ".aside", root)
        for damage in (b"", b"no approval"):  # yours to make again
            with open(f"{p.state}/owner/approval", "wb") as file:
                file.write(damage)
            p.run("up", check=0)
            p.run("run", "hello", "--set", "name=Ada", check=0)
            p.run("down", check=0)
        cells = p.state + "/broker/secrets"
        whole = open(cells, "rb").read()
        open(cells, "wb").write(b"x" * len(whole))
        up(p, 5, "next: bulla down; put that folder back", "/broker")
        open(cells, "wb").write(whole)
        segment = sorted(glob.glob(p.state + "/host/journal/*.seg"))[0]
        whole = open(segment, "rb").read()
        open(segment, "r+b").write(b"x" * 5000)
        up(p, 5, "next: bulla down; put that folder back", "/host")
        open(segment, "r+b").write(whole)
        p.run("up", check=0)
        p.run("run", "hello", "--set", "name=Ada", check=0)


tap.main()
