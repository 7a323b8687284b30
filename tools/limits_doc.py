#!/usr/bin/env python3
"""Makes doc/limits.md of src/base/limits.def. limits_doc.py --check: fails when the page is not current."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r'^BULLA_LIMIT\((\w+), (\d+), "([^"]*)", "([^"]*)"\)', re.M)


def readable(value):
    for unit, factor in (('Mi', 1 << 20), ('Ki', 1 << 10)):
        if value % factor == 0:
            return f'{value:,} ({value // factor} {unit})'
    return f'{value:,}'


def generate():
    text = (ROOT / 'src/base/limits.def').read_text()
    rows = ROW.findall(text)
    if len(rows) != len(re.findall(r'^BULLA_LIMIT\(', text, re.M)):
        sys.exit('src/base/limits.def: a row is not of the form BULLA_LIMIT(NAME, number, "unit", "when full")')
    names = [name for name, *_ in rows]
    if len(set(names)) != len(names):
        sys.exit('src/base/limits.def: a name is there twice')
    out = ['# Limits', '', 'Every queue, array, cache and count that comes from outside has a name and a limit. Generated from',
           '`src/base/limits.def` by `tools/limits_doc.py`; the code calls them `BULLA_MAX_NAME`.', '',
           '| Name | Limit | Of | At the limit |', '|---|---|---|---|']
    out += [f'| `{name}` | {readable(int(value))} | {unit} | {full} |' for name, value, unit, full in rows]
    return '\n'.join(out) + '\n'


if __name__ == '__main__':
    path = ROOT / 'doc/limits.md'
    if sys.argv[1:] == ['--check']:
        if not path.exists() or path.read_text() != generate():
            sys.exit('doc/limits.md is not current: run tools/limits_doc.py')
    else:
        path.write_text(generate())
