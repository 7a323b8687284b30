"""Backups of different days: the engine's state, the broker's, or both are put back. Nobody notices wrong results: what goes on
goes on, what cannot is named, and new runs work."""
import os
import shutil
import time

from recovery import open_project
from project import Tap

tap = Tap()


def one(project):
    return project.run("run", "w", "--input", "-", stdin='"x"', timeout=120)


def put_back(days):
    """Days of runs; at the end of a day the parts named for it are copied. Then the copies are put back, and a run goes well."""
    with open_project() as p:
        for parts in days:
            p.run("up", check=0)
            for _ in range(3):
                assert one(p).returncode == 0
            p.run("down", check=0)
            for part in parts:
                shutil.copytree(f"{p.state}/{part}", f"{p.work}/old-{part}", symlinks=True)
        for part in (part for parts in days for part in parts):
            shutil.rmtree(f"{p.state}/{part}")
            os.rename(f"{p.work}/old-{part}", f"{p.state}/{part}")
        p.run("up", check=0)
        time.sleep(0.5)
        result = one(p)
        assert result.returncode == 0, result.stdout + result.stderr + p.log("host/log") + p.log("broker/log")
        p.run("verify", check=4)


@tap.case
def an_old_engine():
    put_back([["host"], []])


@tap.case
def an_old_broker():
    put_back([["broker"], []])


@tap.case
def both_of_one_day():
    put_back([["host", "broker"], []])


@tap.case
def both_of_different_days():
    put_back([["host"], ["broker"], []])
    put_back([["broker"], ["host"], []])


tap.main()
