#!/usr/bin/env python3
"""Makes doc/messages.md of src/wire/messages.def and ops.def. messages_doc.py --check: fails when the page is not current."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r'^(MESSAGE_BEGIN|U64|BYTES|LIST)\((\w+)(?:, (\d+), (\w+))?\)\s*(?:/\* (.*?) \*/)?')
OP = re.compile(r'^BULLA_OP\((\w+), (\d+), "(\w+)", (\w+), (\w+)\)\s*(?:/\* (.*?) \*/)?', re.M)
HEADING = re.compile(r'^/\* --- (.*) --- \*/')
TYPES = {'U64': 'number', 'BYTES': 'bytes', 'LIST': 'list of bytes'}

INTRO = '''# Messages between our programs

Generated from `src/wire/messages.def` and `src/wire/ops.def` by `tools/messages_doc.py`; the same in protobuf's language
is `proto/bulla.proto`. Frames that carry them: `src/io/frame.h`.

Form: protobuf wire format in one canonical way. Fields stand in the order of their numbers; numbers are varints in their
shortest form; a zero number, empty bytes and an empty list are absent. Refused: unknown fields, fields twice, fields out of
order, zero or empty instead of absent, lists of more than `MESSAGE_ITEMS` elements ([limits](limits.md)). A message of
another version of this list is refused at `hello`, not guessed at.

Vector (`hello` with version 1, role 2, boot_id `78`, window 128): `08 01 10 02 1a 01 78 20 80 01`.
'''


def operations():
    text = (ROOT / 'src/wire/ops.def').read_text()
    out = ['## Operations', '', '| Number | Name | Called by | Request | Reply | |', '|---|---|---|---|---|---|']
    for name, number, caller, request, reply, note in OP.findall(text):
        out.append(f'| {number} | {name} | {caller} | [{request}](#{request}) | [{reply}](#{reply}) | {note} |')
    return out + ['']


def generate():
    out = [INTRO] + operations()
    for line in (ROOT / 'src/wire/messages.def').read_text().splitlines():
        heading, row = HEADING.match(line), ROW.match(line)
        if heading:
            out += [f'# {heading.group(1)[0].upper()}{heading.group(1)[1:]}', '']
        elif row:
            kind, message, number, field, comment = row.groups()
            if kind == 'MESSAGE_BEGIN':
                out += [f'## {message}', ''] + ([comment[0].upper() + comment[1:] + '.', ''] if comment else [])
                out += ['| Number | Field | Type | |', '|---|---|---|---|']
            else:
                out.append(f'| {number} | {field} | {TYPES[kind]} | {comment or ""} |')
        elif line.startswith('MESSAGE_END'):
            out.append('')
    return '\n'.join(out).rstrip() + '\n'


if __name__ == '__main__':
    path = ROOT / 'doc/messages.md'
    if sys.argv[1:] == ['--check']:
        if not path.exists() or path.read_text() != generate():
            sys.exit('doc/messages.md is not current: run tools/messages_doc.py')
    else:
        path.write_text(generate())
