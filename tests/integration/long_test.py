"""A run longer than any list that is short elsewhere: its result opens, its bundle verifies."""
from project import Project, Tap

tap = Tap()

STEPS = 280
AGENTS = 3


def workflow():
    agents = "".join(f"  a{i}: {{run: cat}}\n" for i in range(AGENTS))
    steps = "".join(f"      - s{i}: {{agent: a{i % AGENTS}}}\n" for i in range(STEPS))
    return f"project: long\nagents:\n{agents}workflows:\n  w:\n    steps:\n{steps}"


@tap.case
def a_long_run_opens_and_verifies():
    with Project("hello", workflow()) as p:
        for i in range(AGENTS):
            p.write(f"agents/a{i}/note", "no code of its own\n")
        p.write("i.json", '{"x": 1}')
        p.run("up", check=0)
        result = p.run("run", "w", "--input", "i.json", check=0)
        assert result.stdout.replace(" ", "").strip() == '{"x":1}', result.stdout
        verdict = p.run("verify", check=4)
        assert verdict.stdout.startswith("DEV ONLY"), verdict.stdout
        assert f"{STEPS} steps" in verdict.stdout, verdict.stdout


tap.main()
