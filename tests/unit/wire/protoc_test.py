#!/usr/bin/env python3
"""protoc as oracle: it writes the same bytes as we for the same values, and reads ours to the same values.
Usage: protoc_test.py DUMP_PROGRAM PROTO_FOLDER. Exit code 77: skipped."""
import shutil, subprocess, sys

dump, folder = sys.argv[1:]
if shutil.which('protoc') is None:
    print('skipped: protoc is not installed')
    sys.exit(77)


def protoc(mode, message, data):
    return subprocess.run(['protoc', f'--proto_path={folder}', f'--{mode}=bulla.{message}', 'bulla.proto'],
                          input=data, stdout=subprocess.PIPE, check=True).stdout


count = 0
for line in subprocess.run([dump], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines():
    message, text, ours = line.split('\t')
    theirs = protoc('encode', message, text.encode())
    if theirs.hex() != ours:
        sys.exit(f'{message}: protoc writes {theirs.hex()}, we {ours}')
    if count % 3 == 0 and protoc('encode', message, protoc('decode', message, bytes.fromhex(ours))).hex() != ours:
        sys.exit(f'{message}: protoc does not read what we write')
    count += 1
print(f'{count} messages agree')
