"""kill -9 with many runs under way: every one ends, done and with its token, and its bundle verifies."""
import subprocess

from recovery import TOOL, open_project, recover
from project import Tap

tap = Tap()
RUNS = 500


def check(victims):
    with open_project() as p:
        p.run("up", check=0)
        row = recover(p, victims, RUNS)
        assert row["done"] == RUNS and row["failed"] == row["lost"] == 0, row
        rows = p.json("ls")
        for run in (rows[0]["run"], rows[-1]["run"]):
            p.run("verify", run, check=4)


@tap.case
def the_engine_dies():
    check(["bullad"])


@tap.case
def the_broker_dies():
    check(["bulla-kms"])


@tap.case
def both_die():
    check(["bullad", "bulla-kms"])


@tap.case
def many_programs_start_runs():
    """Links pile up at the engine; what the first run's result named is found for the last one, too."""
    with open_project() as p:
        p.run("up", check=0)
        p.run("run", "w", "--input", "-", stdin='"x"', check=0)
        subprocess.run([TOOL, p.dir, "w", "1200", "apart"], env=p.env, check=True, capture_output=True)
        p.run("run", "w", "--input", "-", stdin='"x"', check=0)


tap.main()
