"""`bulla revoke`: what an approver revoked gets no permit, in this life of the broker and the next; verify shows the order."""
import json

from project import Project, Tap

tap = Tap()


@tap.case
def a_revoked_agent_runs_no_more_until_a_new_epoch():
    with Project() as p:
        p.run("up", check=0)
        p.run("run", "loan", "--input", "application.json", check=0)
        assert "no such" not in p.run("revoke", "risk", check=0).stderr
        waits = p.run("run", "loan", "--input", "application.json", "--timeout", "2s", check=124)
        assert "approved" not in waits.stdout, waits
        assert "revoked" in waits.stderr, waits.stderr
        p.run("down", check=0)
        assert "revoked" in p.run("up", check=75).stderr  # its enclave gets no key
        p.run("run", "loan", "--input", "application.json", "--timeout", "2s", check=124)
        # the agent is mended: another bundle, a new epoch
        text = p.read("bulla.yaml")
        p.write("bulla.yaml", text.replace("python3 intake.py", "python3 intake.py x"))
        p.run("up", check=0)
        assert json.loads(p.run("run", "loan", "--input", "application.json", check=0).stdout)["decision"] == "approved"
        for row in p.json("ls", "--state", "done"):  # before the order and after the new epoch: both good
            held = p.run("verify", row["run"], "--checks", check=4).stdout
            assert any("order.revoked" in line and "held" in line for line in held.splitlines()), held


@tap.case
def a_revoked_epoch_starts_nothing():
    with Project() as p:
        p.run("up", check=0)
        p.run("revoke", "1", check=0)
        refused = p.run("run", "loan", "--input", "application.json")  # at once, or after it was told that it began
        assert (refused.returncode == 5 and "revoked" in refused.stderr) or (
            refused.returncode == 1 and "denied" in refused.stderr), refused


@tap.case
def what_is_not_there_is_not_revoked():
    with Project() as p:
        p.run("up", check=0)
        for typed in ("nobody", "2", "0", "ab" * 31, "-1"):
            assert p.run("revoke", typed).returncode in (2, 3), typed
        p.run("run", "loan", "--input", "application.json", check=0)


tap.main()
