import json
import sys

value = json.load(sys.stdin)
name = value.get("name", "world") if isinstance(value, dict) else "world"
json.dump({"hello": name}, sys.stdout)
