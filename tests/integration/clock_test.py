"""A clock that is wrong: what cannot go on says so by name, and everything goes on when the date is right again."""
import os
import struct
import time

from project import Project, Skip, Tap

tap = Tap()
HOUR = 3600000
SHIM = os.environ.get("BULLA_WRONG_CLOCK", "")


class WrongClock(Project):
    """All programs of the project see a date that is moved by some milliseconds; time itself goes on as it does."""

    def __init__(self, *args):
        if not os.path.exists(SHIM):
            raise Skip("the clock was not built")
        super().__init__(*args)
        self.skew(0)
        self.env.update(LD_PRELOAD=SHIM, BULLA_TEST_CLOCK=self.work + "/clock")

    def skew(self, ms):
        self.moved = ms
        with open(self.work + "/clock.new", "wb") as file:
            file.write(struct.pack("<q", ms))
        os.rename(self.work + "/clock.new", self.work + "/clock")

    def hello(self, check=0):
        result = self.run("run", "hello", "--set", "name=Ada", "--timeout", "20s")
        assert result.returncode == check, (self.moved, result.returncode, result.stdout, result.stderr)
        return result.stderr


@tap.case
def a_date_that_is_wrong_for_a_moment_leaves_nothing_behind():
    with WrongClock("hello") as p:
        p.run("up", check=0)
        p.hello()
        for ms in (600000, 24 * HOUR, 8760 * HOUR, -24 * HOUR, -8760 * HOUR):
            p.skew(ms)
            assert "clock-skew" in p.hello(check=5), ms
            p.skew(0)
            p.hello()
            p.run("verify", check=4)
        p.skew(-8760 * HOUR)
        p.run("down", check=0)
        p.skew(0)
        p.run("up", check=0)
        p.hello()
        p.run("verify", check=4)
        assert not any(row["state"] == "open" for row in p.json("ls")), p.json("ls")


@tap.case
def a_step_that_runs_meanwhile_is_not_lost():
    with WrongClock("hello", "project: slow\nagents:\n  nap: jq .\nworkflows:\n  slow: [nap]\n") as p:
        p.write("bulla.yaml", p.read("bulla.yaml").replace("jq .", "python3 main.py"))
        p.write("agents/nap/main.py", "import sys, time\ntime.sleep(2.5)\nsys.stdout.write(sys.stdin.read())\n")
        p.run("up", check=0)
        p.run("start", "slow", "--set", "a=1", check=0)
        for ms in (8760 * HOUR, 0, -8760 * HOUR, 0):
            p.skew(ms)
            time.sleep(0.5)
        p.run("wait", "--timeout", "30s", check=0)
        p.run("verify", check=4)
        shown = p.json("show")
        assert "lost" not in str(shown), shown


tap.main()
