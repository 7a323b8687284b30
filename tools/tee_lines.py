#!/usr/bin/env python3
"""tee_lines PROGRAM [--pieces]: lines of C whose code is in a linked program, by folder of src/ (or piece by piece).
tee_lines --unused PROGRAM...: functions of src/ that are in none of the programs: for tests, for other machines, or for nobody.

Counted are the lines, neither blank nor comment, of
- each function (head to closing brace, in a .c file or a header) that an instruction of the program comes from, inlined or not:
  the program's own line table (DWARF) says which;
- each table or other object at file level, and each macro with parameters, that something counted names;
- each .def file of rows that a file with something counted includes, but those that become no code (CONSTANTS); of the messages
  those that the program encodes or decodes.
Not counted: prototypes, types, constants, and functions that the compiler or the linker (--gc-sections) dropped."""
import itertools
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / 'src'
CONSTANTS = {'base/limits.def', 'base/checks.def'}  # numbers; switches of -Dmutants=true


def without_comments(text):
    """Comments and the insides of strings become blanks; lines stay where they are."""
    def blank(match):
        kept = match.group(0)
        return re.sub(r'[^\n]', ' ', kept) if kept[0] == '/' else kept[0] + re.sub(r'[^\n]', ' ', kept[1:-1]) + kept[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def pieces(text):
    """(name, kind, first line, last line) of each function, object and macro at file level of a text without comments."""
    lines = text.split('\n')
    depth, first, directive = 0, None, None
    for number, line in enumerate(lines, 1):
        if directive or line.lstrip().startswith('#'):
            directive = directive or number
            if not line.rstrip().endswith('\\'):
                macro = re.match(r'\s*#\s*define (\w+)\(', lines[directive - 1])
                if macro:
                    yield macro.group(1), 'macro', directive, number
                directive = None
        elif first or line.strip():
            first = first or number
            depth += sum(line.count(c) for c in '{(') - sum(line.count(c) for c in '})')
            if depth == 0 and re.search(r'[;}]\s*$', line):
                kind, name = what(' '.join(lines[first - 1:number]))
                if kind:
                    yield name, kind, first, number
                first = None


def what(whole):
    """What stands at file level: ('function' or 'object', name), or (None, None) for types and prototypes."""
    head = re.sub(r'__attribute__\s*\(\(.*?\)\)', '', whole.split('{')[0])
    value = re.match(r'[^({=]*?(\w+)\s*(\[[^=]*\])*\s*=', whole) or re.match(r'\s*static [^({]*?(\w+)\s*(\[[^=]*\])*\s*;', whole)
    if value:
        return 'object', value.group(1)
    function = re.match(r'[^;=]*?(\w+)\s*\(', head)
    return ('function', function.group(1)) if '{' in whole and function and not head.startswith('typedef') else (None, None)


def live_lines(program):
    """path within src -> numbers of the lines that an address inside .text comes from."""
    sections = subprocess.run(['readelf', '-SW', str(program)], capture_output=True, text=True).stdout
    start, size = (int(value, 16) for value in re.search(r'\.text\s+PROGBITS\s+(\w+)\s+\w+\s+(\w+)', sections).groups())
    table = subprocess.run(['objdump', '-w', '--dwarf=decodedline', str(program)], capture_output=True, text=True).stdout
    found, path, unit = {}, '', ''
    for line in table.split('\n'):
        if line.endswith(':'):  # `CU: ../src/tee/join.c:` begins a unit, `../src/base/bytes.h:` goes on in another file
            path = line.rstrip(':').removeprefix('CU: ')
            unit = path if line.startswith('CU: ') else unit
            continue
        parts = line.split()
        if len(parts) < 3 or not parts[1].isdigit() or not start <= int(parts[2], 16) < start + size:
            continue
        if parts[0] != path.split('/')[-1]:  # each function begins in its unit's file again, of which objdump says nothing
            path = unit
        place = re.search(r'(?:^|/)src/(\w+/[\w.-]+)$', path)
        if place and parts[0] == path.split('/')[-1]:
            found.setdefault(place.group(1), set()).add(int(parts[1]))
    return found


def symbols(program):
    """Names of the functions that the program's symbol table has."""
    table = subprocess.run(['nm', str(program)], capture_output=True, text=True).stdout
    return set(re.findall(r' [tT] ([A-Za-z]\w*)$', table, re.M))


def named(inside, path, name, private):
    """Whether a counted piece names an object or macro: one of its own file where it is private to that."""
    return any(name in words for other, _, _, words in inside if other == path or not private)


def counted(program):
    """[(path within src, name, lines)] of what is in the program; empty where the program has no line table."""
    texts = {str(path.relative_to(SRC)): without_comments(path.read_text())
             for pattern in ('*.c', '*.h', '*.def') for path in sorted(SRC.rglob(pattern))}
    live, inside, rest = live_lines(program), [], []
    for path, text in texts.items():
        lines = text.split('\n')
        for name, kind, first, last in pieces(text) if not path.endswith('.def') else ():
            body = '\n'.join(lines[first - 1:last])
            entry = path, name, sum(1 for line in lines[first - 1:last] if line.strip()), set(re.findall(r'\w+', body))
            if kind != 'function':
                rest.append((entry, body.startswith('static') or kind == 'macro' and path.endswith('.c')))
            elif live.get(path, set()) & set(range(first, last + 1)):
                inside.append(entry)
    ours = {name for path, text in texts.items() if path.endswith('.c') for name, kind, *_ in pieces(text) if kind == 'function'}
    missed = symbols(program) & ours - {name for _, name, *_ in inside} if inside else ()
    if missed:
        sys.exit(f'tee_lines: in the symbol table and not in the line table: {" ".join(sorted(missed))}')
    new = True
    while new:
        new = [(entry, private) for entry, private in rest if named(inside, entry[0], entry[1], private)]
        rest = [one for one in rest if one not in new]
        inside += [entry for entry, _ in new]
    return [entry[:3] for entry in inside] + list(rows({path for path, *_ in inside}, texts, live))


def rows(paths, texts, live):
    """(path, 'rows', lines) of the .def files that these paths include. A paragraph of a file whose rows make functions
    (messages.def) counts where the program has one of them."""
    included = {target for path in paths for target in re.findall(r'#\s*include\s*"([\w/]+\.def)"', (SRC / path).read_text())}
    for path in sorted(included - CONSTANTS):
        numbered, alive = list(enumerate(texts[path].split('\n'), 1)), live.get(path)
        paragraphs = [list(rows) for filled, rows in itertools.groupby(numbered, lambda row: bool(row[1].strip())) if filled]
        yield path, 'rows', sum(len(part) for part in paragraphs if not alive or any(number in alive for number, _ in part))


def by_folder(program):
    totals = {}
    for path, _, lines in counted(program):
        folder = path.split('/')[0]
        totals[folder] = totals.get(folder, 0) + lines
    return totals


def unused(programs):
    """(path within src, line, name) of each function that no instruction of any program comes from."""
    alive = {}
    for program in programs:
        for path, numbers in live_lines(program).items():
            alive.setdefault(path, set()).update(numbers)
    for path in sorted(SRC.rglob('*.c')):
        place = str(path.relative_to(SRC))
        for name, kind, first, last in pieces(without_comments(path.read_text())):
            if kind == 'function' and not alive.get(place, set()) & set(range(first, last + 1)):
                yield place, first, name


if __name__ == '__main__':
    if sys.argv[1] == '--unused':
        for place, line, name in unused(sys.argv[2:]):
            print(f'src/{place}:{line}: {name}')
    elif '--pieces' in sys.argv:
        for row in sorted(counted(sys.argv[1])):
            print(*row)
    else:
        for folder, lines in sorted(by_folder(sys.argv[1]).items(), key=lambda row: -row[1]):
            print(f'{folder:10} {lines}')
