"""The report as one HTML page: no request leaves it, it follows dark and light, and a phone can show it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from reliableswap.evaluation.results import Evaluation, MethodResult, Row

from .figures import BY_KEY, Figure
from .plots import Dot, colours_of, scatter
from .texts import Facts, best_method, frechet_rows, reasons, shown_figures, summary, warnings

_SHOWN = 3  # pairs of each kind in a method's gallery
_SIDE_BY_SIDE = 8
_PLOTS = (
    ("cos_source", "pose"),
    ("cos_source", "expression"),
    ("cos_reference", "pose"),
    ("cos_reference", "expression"),
    ("truth_cos", "truth_psnr"),
)
# In a gallery's caption, where the method has them.
_CAPTION = ("cos_source", "cos_target", "pose", "expression")

_STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --faint: #63676e; --page: #fbfbfa; --card: #fff;
  --line: #e2e2df; --best: #e4f3e8; --warn: #fff1d6; --warn-line: #d99a1c; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e6; --faint: #a0a4ab; --page: #16171a; --card: #1f2125;
  --line: #36393f; --best: #1d3a28; --warn: #3d3014; --warn-line: #d99a1c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 72rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: .4rem 0 .6rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .3rem 0; } .faint, figcaption { color: var(--faint); font-size: .86rem; }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); padding: .6rem .8rem; font-weight: 700; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
tr:last-child > * { border-bottom: 0; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); white-space: normal;
  min-width: 8.5rem; font-weight: 500; }
thead th { vertical-align: bottom; font-weight: 700; white-space: normal; min-width: 5.5rem; }
details { margin-top: .8rem; }
td small { color: var(--faint); display: block; font-size: .76rem; }
td.best { background: var(--best); font-weight: 700; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .35em; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.plots > div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .5rem; }
svg { width: 100%; height: auto; display: block; } svg text { font: 11px system-ui, sans-serif; fill: var(--faint); }
svg .axis { fill: var(--text); font-size: 12px; } svg .name { fill: var(--text); font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .8rem; }
figure { margin: 0; } .trio { display: grid; grid-template-columns: repeat(3, 1fr); gap: 2px; }
img { width: 100%; aspect-ratio: 1; display: block; border-radius: 4px; background: var(--line); }
.grid-of { display: grid; gap: 4px; align-items: center; overflow-x: auto; font-size: .82rem; }
.grid-of > span { font-weight: 600; text-align: center; align-self: end; }
.none { aspect-ratio: 1; display: grid; place-items: center; text-align: center; color: var(--faint);
  border: 1px dashed var(--line); border-radius: 4px; font-size: .78rem; }
details > summary { cursor: pointer; } dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; } code { font-size: .85em; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
"""


def page(evaluation: Evaluation, facts: Facts) -> str:
    """The whole page as one string."""
    methods = evaluation.methods
    colours = colours_of([m.name for m in methods], [m.control for m in methods])
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # Nothing may be asked of the network, whoever edits this page later.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; style-src '
        "'unsafe-inline'\">",
        f"<title>Face-swap evaluation: {escape(facts.protocol)}</title><style>{_STYLE}</style></head><body>",
        "<h1>Face-swap evaluation</h1>",
        *(f'<p class="warning">{escape(text)}</p>' for text in warnings(evaluation, facts)),
        *(f"<p>{escape(line)}</p>" for line in summary(evaluation, facts)),
        f"<h2>Figures</h2>{_table(evaluation, facts, colours)}",
        _meanings(evaluation, facts),
        _plots(methods, colours),
        _side_by_side(evaluation),
        *(_gallery(evaluation, method) for method in methods if not method.control),
        f'<p class="faint">ReliableSwap {escape(facts.version)}, {facts.seconds:.0f} s: '
        f"<code>{escape(facts.command)}</code>. The swapped faces are made by AI.</p></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _table(evaluation: Evaluation, facts: Facts, colours: dict[str, str]) -> str:
    methods = evaluation.methods
    head = "".join(
        f'<th scope="col"><span class="dot" style="background:{colours[m.name]}"></span>{escape(m.name)}'
        f"{' <small>(control)</small>' if m.control else ''}</th>"
        for m in methods
    )
    rows = [_table_row(figure, methods) for figure in shown_figures(evaluation)]
    for row in frechet_rows(evaluation, facts):
        cells = "".join(f"<td>{row.show(m)}</td>" for m in methods)
        rows.append(
            f'<tr><th scope="row" title="{escape(row.meaning)}">{escape(row.title)} ↓</th>{cells}</tr>'
        )
    body = "".join(rows)
    return (
        f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _table_row(figure: Figure, methods: Sequence[MethodResult]) -> str:
    best = best_method(figure, methods)
    cells = []
    for method in methods:
        estimate = method.estimates.get(figure.key)
        if estimate is None:
            cells.append("<td>–</td>")
            continue
        low, high = figure.show(estimate.low), figure.show(estimate.high)
        interval = "" if low == high else f"<small>{low} – {high}</small>"
        kind = ' class="best"' if method.name == best else ""
        cells.append(f"<td{kind}>{figure.show(estimate.value)}{interval}</td>")
    return f'<tr><th scope="row" title="{escape(figure.meaning)}">{escape(figure.title)}</th>{"".join(cells)}</tr>'


def _meanings(evaluation: Evaluation, facts: Facts) -> str:
    entries = [(figure.label, figure.meaning) for figure in shown_figures(evaluation)]
    entries += [(row.title, row.meaning) for row in frechet_rows(evaluation, facts)]
    inner = "".join(f"<dt>{escape(label)}</dt><dd>{escape(meaning)}</dd>" for label, meaning in entries)
    failures = "".join(
        f"<p>{escape(method.name)}: {count} × {escape(reason)}</p>"
        for method in evaluation.methods
        for reason, count in reasons(method)
    )
    if failures:
        failures = f"<h3>Failures</h3>{failures}"
    return f"<details><summary>What the figures mean</summary><dl>{inner}</dl></details>{failures}"


def _plots(methods: Sequence[MethodResult], colours: dict[str, str]) -> str:
    drawn = []
    for x, y in _PLOTS:
        dots = [
            Dot(m.name, m.estimates[x], m.estimates[y], m.control, colours[m.name])
            for m in methods
            if x in m.estimates and y in m.estimates
        ]
        # A plot of controls alone says nothing.
        if any(not dot.control for dot in dots):
            drawn.append(f"<div>{scatter(dots, BY_KEY[x], BY_KEY[y])}</div>")
    return f'<h2>Identity against attributes</h2><div class="plots">{"".join(drawn)}</div>' if drawn else ""


def _side_by_side(evaluation: Evaluation) -> str:
    """The same pairs for all methods, evenly spread over the protocol's order: nobody chose them."""
    methods = [m for m in evaluation.methods if not m.control]
    count = min(_SIDE_BY_SIDE, len(evaluation.pairs))
    chosen = [i * len(evaluation.pairs) // count for i in range(count)]
    cells = [f"<span>{escape(name)}</span>" for name in ("source", "target", *(m.name for m in methods))]
    for index in chosen:
        pair = evaluation.pairs[index]
        cells += [_picture(evaluation.subjects[shot].thumbnail, "") for shot in (pair.source, pair.target)]
        cells += [_result(method.rows[index]) for method in methods]
    columns = f"grid-template-columns: repeat({2 + len(methods)}, minmax(4.5rem, 9rem))"
    return f'<h2>Pairs side by side</h2><div class="grid-of" style="{columns}">{"".join(cells)}</div>'


def _gallery(evaluation: Evaluation, method: MethodResult) -> str:
    """Best, median and worst by the identity cosine to the source."""
    done = [row for row in method.rows if row.subject is not None]
    done.sort(key=lambda row: -row.figures["cos_source"])
    middle = max(0, (len(done) - _SHOWN) // 2)
    kinds = {
        "Best": done[:_SHOWN],
        "Median": done[middle : middle + _SHOWN],
        "Worst": done[-_SHOWN:],
        "Failed": [row for row in method.rows if row.subject is None][:_SHOWN],
    }
    blocks = [
        f'<h3>{kind}</h3><div class="gallery">{"".join(_trio(evaluation, row) for row in rows)}</div>'
        for kind, rows in kinds.items()
        if rows
    ]
    return (
        f"<h2>{escape(method.name)}: best, median and worst pairs</h2>"
        f'<p class="faint">Source, target, result; ordered by the cosine to the source.</p>{"".join(blocks)}'
    )


def _trio(evaluation: Evaluation, row: Row) -> str:
    shots = (row.pair.source, row.pair.target)
    pictures = "".join(_picture(evaluation.subjects[shot].thumbnail, "") for shot in shots)
    known = [BY_KEY[key] for key in _CAPTION if key in row.figures]
    facts = ", ".join(f"{f.label} {f.show(row.figures[f.key])}{'°' if f.unit == '°' else ''}" for f in known)
    return (
        f'<figure><div class="trio">{pictures}{_result(row)}</div>'
        f"<figcaption>{escape(row.pair.name)}<br>{escape(facts or row.failure)}</figcaption></figure>"
    )


def _result(row: Row) -> str:
    if row.subject is None:
        return f'<div class="none" title="{escape(row.failure)}">failed</div>'
    return _picture(row.subject.thumbnail, f"result of {row.pair.name}")


def _picture(jpeg: bytes, text: str) -> str:
    return f'<img loading="lazy" alt="{escape(text)}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
