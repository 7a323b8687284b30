"""Charts as SVG, text as text, legible on light and dark ground. No library. Used by bench/report."""
from xml.sax.saxutils import escape

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px } .small { font-size: 11px; fill: #59636e }
.end { text-anchor: end } .middle { text-anchor: middle }
.axis { stroke: #818b98; fill: none } .grid { stroke: #818b98; stroke-opacity: .3 }
.a { fill: #0a6ebd } .b { fill: #8250df } .c { fill: #bc4c00 } .d { fill: #57606a } .e { fill: #1a7f37 } .f { fill: #bf3989 }
.line { fill: none; stroke-width: 2 } .line.a { stroke: #0a6ebd } .line.b { stroke: #8250df } .line.c { stroke: #bc4c00 }
.line.a, .line.b, .line.c { fill: none }
.mark { stroke: #cf222e; stroke-width: 2 } .range { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .axis, .grid { stroke: #656c76 } .range { stroke: #e6edf3 }
  .a { fill: #4493f8 } .b { fill: #ab7df8 } .c { fill: #f0883e } .d { fill: #9198a1 } .e { fill: #3fb950 } .f { fill: #f778ba }
  .line.a { stroke: #4493f8; fill: none } .line.b { stroke: #ab7df8; fill: none } .line.c { stroke: #f0883e; fill: none }
  .mark { stroke: #ff7b72 }
}
"""


def number(x):
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


class Chart:
    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.parts = []
        self.text(12, 22, title, "title")

    def text(self, x, y, text, kind=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(str(text))}</text>')

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def box(self, x, y, width, height, kind):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" rx="2" class="{kind}"/>')

    def path(self, points, kind):
        at = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{at}" class="line {kind}"/>')

    def dot(self, x, y, kind):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{kind}"/>')

    def save(self, path):
        with open(path, "w", encoding="utf-8") as out:
            out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                      f'height="{self.height}" role="img"><title>{escape(self.title)}</title><style>{STYLE}</style>\n')
            out.write("\n".join(self.parts) + "\n</svg>\n")


def bars(path, title, groups, unit, note=""):
    """groups: [(heading, [(label, kind, value, low, high or None)])]: a panel each, with a scale of its own; the line over a
    bar is the range."""
    rows = sum(len(items) for _, items in groups)
    chart = Chart(720, 50 + 24 * rows + 34 * len(groups) + (20 if note else 0), title)
    y = 40
    for heading, items in groups:
        most = max(high or value for _, _, value, _, high in items)
        chart.text(12, y + 16, f"{heading} ({unit})", "small")
        y += 24
        for label, kind, value, low, high in items:
            span = 400 * value / most
            chart.text(150, y + 14, label, "end")
            chart.box(160, y + 2, span, 16, kind)
            if high:
                chart.line(160 + 400 * low / most, y + 10, 160 + 400 * high / most, y + 10, "range")
            chart.text(168 + max(span, 400 * (high or 0) / most), y + 14, number(value))
            y += 24
        y += 10
    if note:
        chart.text(12, y + 12, note, "small")
    chart.save(path)


def budget(path, title, items, unit, note):
    """items: [(label, value, budget or None)]: bars, and a mark where the budget ends."""
    most = max(max(value, limit or 0) for _, value, limit in items) * 1.05
    chart = Chart(720, 76 + 28 * len(items), title)
    y = 40
    for label, value, limit in items:
        chart.text(150, y + 15, label, "end")
        chart.box(160, y + 2, 430 * value / most, 18, "a" if limit is None or value <= limit else "c")
        if limit is not None:
            chart.line(160 + 430 * limit / most, y - 1, 160 + 430 * limit / most, y + 23, "mark")
        text = f"{number(value)} {unit}" + (f" of {number(limit)}" if limit is not None else "")
        chart.text(168 + 430 * max(value, limit or 0) / most, y + 15, text)
        y += 28
    chart.text(12, y + 16, note, "small")
    chart.save(path)


def stacks(path, title, columns, kinds, unit, goal):
    """columns: [(label, {part: value})]; kinds: {part: class}, from left to right; goal: a mark."""
    most = max([sum(parts.values()) for _, parts in columns] + [goal]) * 1.02
    chart = Chart(720, 100 + 34 * len(columns), title)
    y, x = 40, 12
    for part, kind in kinds.items():
        chart.box(x, y, 12, 12, kind)
        chart.text(x + 17, y + 11, part, "small")
        x += 30 + 7 * len(part)
    y += 26
    for label, parts in columns:
        x = 130
        chart.text(120, y + 17, label, "end")
        for part, kind in kinds.items():
            width = 460 * parts.get(part, 0) / most
            chart.box(x, y + 2, width, 22, kind)
            x += width
        chart.text(x + 8, y + 17, f"{number(sum(parts.values()))} {unit}")
        y += 34
    chart.line(130 + 460 * goal / most, 62, 130 + 460 * goal / most, y, "mark")
    chart.text(12, y + 18, f"mark: the target of {number(goal)} {unit}", "small")
    chart.save(path)


def quantiles(path, title, series, points, note):
    """series: [(label, kind, {part: ms})]; points: [(label, kind, part, ms)]. Parts on a scale that widens towards both ends,
    milliseconds on a logarithmic one."""
    from math import log10
    shown = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    values = [ms for _, _, q in series for part, ms in q.items() if part in shown and ms > 0] + [p[3] for p in points]
    low, high = log10(min(values)) - 0.1, log10(max(values)) + 0.1

    def x_of(part):
        return 70 + 480 * (log10(part / (1 - part)) + 2) / 5

    def y_of(ms):
        return 290 - 240 * (log10(ms) - low) / (high - low)

    chart = Chart(720, 350, title)
    for part in shown:
        chart.line(x_of(part), 50, x_of(part), 290, "grid")
        chart.text(x_of(part), 308, f"{100 * part:g} %", "small middle")
    for power in range(-2, 6):
        for factor in (1, 2, 5):
            ms = factor * 10.0 ** power
            if low <= log10(ms) <= high:
                chart.line(70, y_of(ms), 550, y_of(ms), "grid")
                chart.text(62, y_of(ms) + 4, f"{ms:g} ms", "small end")
    ends = []
    for label, kind, q in series:
        at = [(x_of(part), y_of(q[part])) for part in sorted(q) if 0.01 <= part <= 0.999 and q[part] > 0]
        chart.path(at, kind)
        ends.append((at[-1][1], label))
    for label, kind, part, ms in points:
        chart.dot(x_of(part), y_of(ms), kind)
        if part == 0.99:
            ends.append((y_of(ms), label))
    last = 0
    for y, label in sorted(ends):  # labels beside the ends, not over each other
        last = max(y + 4, last + 15)
        chart.text(562, last, label, "small")
    chart.text(12, 336, note, "small")
    chart.save(path)
