#!/usr/bin/env python3
"""Makes proto/bulla.proto of src/wire/messages.def. proto_gen.py --check FILE: fails when FILE is not current."""
import pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r'(MESSAGE_BEGIN|MESSAGE_END|U64|BYTES|LIST)\((\w+)(?:, (\d+), (\w+))?\)\s*(?:/\* (.*?) \*/)?')
TYPES = {'U64': 'uint64', 'BYTES': 'bytes', 'LIST': 'repeated bytes'}


def generate():
    out = ['// Generated from src/wire/messages.def by tools/proto_gen.py. Embedded messages are fields of type bytes.',
           'syntax = "proto3";', 'package bulla;', '']
    for line in (ROOT / 'src/wire/messages.def').read_text().splitlines():
        row = ROW.match(line)
        if not row:
            continue
        kind, message, number, field, comment = row.groups()
        comment = f' // {comment}' if comment else ''
        if kind == 'MESSAGE_BEGIN':
            out.append(f'message {message} {{{comment}')
        elif kind == 'MESSAGE_END':
            out += ['}', '']
        else:
            out.append(f'  {TYPES[kind]} {field} = {number};{comment}')
    return '\n'.join(out[:-1]) + '\n'


if __name__ == '__main__':
    path = ROOT / 'proto/bulla.proto'
    if sys.argv[1:] == ['--check']:
        if not path.exists() or path.read_text() != generate():
            sys.exit('proto/bulla.proto is not current: run tools/proto_gen.py')
    else:
        path.write_text(generate())
