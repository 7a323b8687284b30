"""Whose manifest: the state folder is the host's to write, and that makes nobody an owner."""
import shutil

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


tap.main()
