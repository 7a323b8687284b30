"""Decides: approves a low risk, leaves the rest to a person, declines a high one."""
import json
import sys

given = json.load(sys.stdin)
grade, limit, asked = given["risk"]["grade"], given["risk"]["limit"], given["asked"]
age = 2026 - given["person"]["born"]
if grade == "high" or age < 18:
    decision = "declined"
elif grade == "refer":
    decision = "refer"
else:
    decision = "approved"
json.dump({"decision": decision, "limit": min(asked, max(0, int(limit))) if decision != "declined" else 0}, sys.stdout)
