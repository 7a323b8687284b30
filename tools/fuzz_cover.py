#!/usr/bin/env python3
"""fuzz_cover.py FUZZER CORPUS MINIMUM: the corpus must reach that many edges, or the target has stopped touching its
parser (which happens silently, for example when a library is built without the coverage hooks)."""
import re, subprocess, sys

fuzzer, corpus, minimum = sys.argv[1:]
run = subprocess.run([fuzzer, '-runs=0', corpus], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
found = re.findall(r'cov: (\d+)', run.stdout)
if run.returncode != 0 or not found:
    sys.exit(run.stdout[-2000:])
print(f'{found[-1]} edges, at least {minimum}')
sys.exit(int(found[-1]) < int(minimum))
