"""Takes an application apart: who asks, and the figures that matter, per month. Refuses what is not complete."""
import json
import sys


def field(value, name, kind):
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        sys.exit(f"the application has no usable `{name}`")
    return value[name]


application = json.load(sys.stdin)
applicant = field(application, "applicant", dict)
income = field(application, "income", dict)
debts = field(application, "debts", list)
json.dump({
    "person": {"name": field(applicant, "name", str), "born": field(applicant, "born", int)},
    "figures": {
        "monthly_income": sum(v for v in income.values() if isinstance(v, (int, float))) // 12,
        "monthly_debt": sum(field(debt, "monthly", (int, float)) for debt in debts),
        "amount": field(application, "amount", int),
        "months": max(1, field(application, "months", int)),
    },
}, sys.stdout)
