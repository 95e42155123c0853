"""The living documentation: one page, the matrix first, then the official Cucumber report."""

import shutil
import subprocess
import time
from html import escape
from pathlib import Path
from urllib.parse import quote

from tests.acceptance.messages import Commit
from tests.acceptance.verdict import NOT_RUN, PROVEN, Row, Verdict

TITLE = "Living documentation"
NODE = "install Node.js 20 or newer with npm (on Debian: apt-get install nodejs npm), then run `make docs` again"
SCRIPT = Path(__file__).parents[1] / "node" / "living-documentation.mjs"
MARKS = {PROVEN: ("ok", "✔"), NOT_RUN: ("open", "·")}
FALLEN = ("ko", "✘")

STYLE = """
#acceptance { max-width: 1600px; margin: 0 auto; padding: 1rem; box-sizing: border-box; line-height: 1.4; }
#acceptance h1 { margin: 0 0 .25rem; font-size: 1.6rem; }
#acceptance h2 { margin: 1.5rem 0 .5rem; font-size: 1.15rem; }
#acceptance p { margin: .25rem 0; }
#acceptance table { border-collapse: collapse; width: 100%; }
#acceptance th, #acceptance td { border-bottom: 1px solid #8884; padding: .4rem .6rem .4rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
#acceptance th, #acceptance .status { white-space: nowrap; }
#acceptance a { color: var(--cucumber-anchor-color, #0b6aa2); }
#acceptance li { overflow-wrap: anywhere; }
#acceptance .cells a { display: inline-block; margin: 0 .7rem .1rem 0; white-space: nowrap; }
#acceptance .ok { color: #0a6b2d; } #acceptance .ko { color: #b3001b; } #acceptance .open { color: #6b5900; }
#acceptance .ok, #acceptance .ko, #acceptance .open { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  #acceptance .ok { color: #3fb950; } #acceptance .ko { color: #ff7b72; } #acceptance .open { color: #e3b341; }
}
.html-formatter { box-sizing: border-box; padding: 0 1rem; overflow-wrap: anywhere; }
.html-formatter * { box-sizing: border-box; }
.html-formatter pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.html-formatter form, .html-formatter input { min-width: 0; max-width: 100%; }
@media (max-width: 640px) {
  .html-formatter { padding: 0 .25rem; }
  #acceptance thead { display: none; }
  #acceptance tr { display: block; border-bottom: 1px solid #8884; padding: .4rem 0; }
  #acceptance th, #acceptance td { display: inline; border: 0; padding: 0 .5rem 0 0; }
  #acceptance .cells, #acceptance .promise { display: block; }
}
"""

# who follows a link wants to see the scenarios, which the report folds up; it unfolds one file at a time
OPENING = """
if (new URLSearchParams(location.search).get('query')) {
  const unfold = () => {
    const folded = document.querySelector('#content button[aria-expanded=false]')
    if (folded) { folded.click(); setTimeout(unfold) }
  }
  const watch = new MutationObserver(() => {
    if (document.querySelector('#content button[aria-expanded]')) { watch.disconnect(); setTimeout(unfold) }
  })
  watch.observe(document.getElementById('content'), { childList: true, subtree: true })
}
"""


class PageError(Exception):
    """The page can't be made; the message says what to do."""


def write(path: Path, messages: Path, verdict: Verdict, commit: Commit) -> None:
    """Render the Messages by the official formatter and put the matrix before them.

    Raises PageError where Node or the formatter is missing.
    """
    report = _report(messages)
    content = '<div id="content">\n</div>'
    for mark, instead in (
        ("<title>Cucumber</title>", f"<title>{TITLE}</title>"),
        ("</head>", f"<style>{STYLE}</style>\n</head>"),
        (content, f"{matrix(verdict, commit, time.time())}\n{content}\n<script>{OPENING}</script>"),
    ):
        before, found, after = report.partition(mark)
        if not found:
            raise PageError(f"the formatter's page has no {mark} any more: mend tests/acceptance/page.py")
        report = before + instead + after
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report, "utf-8")


def _report(messages: Path) -> str:
    node = shutil.which("node")
    if node is None:
        raise PageError(f"Node.js is missing: {NODE}")
    if not (SCRIPT.parent / "node_modules").exists():
        raise PageError(f"the formatter is not installed: {NODE}")
    run = subprocess.run([node, str(SCRIPT), str(messages)], capture_output=True, check=False)  # noqa: S603 - our own script
    if run.returncode:
        raise PageError(f"Node.js could not make the page; {NODE}. It said:\n{run.stderr.decode()}")
    return run.stdout.decode("utf-8")


def matrix(verdict: Verdict, commit: Commit, now: float) -> str:
    """Give the answer as HTML: what is proven, by how many scenarios, at which commit, when."""
    proven = sum(row.status == PROVEN for row in verdict.criteria)
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    return f"""<section id="acceptance">
<h1>{TITLE}</h1>
<p><strong>{proven} of {len(verdict.criteria)} acceptance criteria are proven</strong> · {_commit(commit)} · {at}</p>
<p>A criterion is proven when at least one scenario carries it and all that do have passed.
Each link leads to its proof below.</p>
<h2>Acceptance criteria</h2>
{_table(["Criterion", "Promise", "Status", "Scenarios"], [_criterion(row) for row in verdict.criteria])}
<h2>User stories</h2>
{_table(["Story", "I want to", "Status", "Scenarios", "By criterion"], [_story(row) for row in verdict.stories])}
{_rulings(verdict.rulings)}
{_list("What must be mended", [str(problem) for problem in verdict.problems])}
{_list("Not run here", verdict.absent)}
</section>"""


def _commit(commit: Commit) -> str:
    if not commit.revision:
        return "no commit"
    name = f"commit <code>{escape(commit.revision[:12])}</code>"
    if commit.remote.startswith("https://github.com/"):
        address = f"{commit.remote.removesuffix('.git')}/commit/{commit.revision}"
        name = f'<a href="{escape(address)}">{name}</a>'
    return name + (" with changes that are not committed" if commit.changed else "")


def _table(heads: list[str], rows: list[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"


def _link(query: str, text: str) -> str:
    return f'<a href="?query={quote(query)}#content">{escape(text)}</a>'


def _status(row: Row) -> str:
    kind, mark = MARKS.get(row.status, FALLEN)
    return f'<td class="status {kind}">{mark} {row.status}</td>'


def _head(row: Row) -> str:
    name = _link(f"@{row.id}", row.id) if row.states else escape(row.id)
    return f'<tr data-id="{escape(row.id)}"><th scope="row">{name}</th><td class="promise">{escape(row.title)}</td>'


def _criterion(row: Row) -> str:
    return f"{_head(row)}{_status(row)}<td>{escape(row.counts)}</td></tr>"


def _story(row: Row) -> str:
    cells = "".join(
        _link(f"@{row.id} and @{id_}", f"{id_} {'✔' if set(states) == {'passed'} else '✘'} {states.total()}")
        for id_, states in row.cells.items()
    )
    return f'{_head(row)}{_status(row)}<td>{escape(row.counts)}</td><td class="cells">{cells}</td></tr>'


def _rulings(rows: list[Row]) -> str:
    if not rows:
        return ""
    table = _table(["Ruling", "What is decided", "Status", "Scenarios"], [_criterion(row) for row in rows])
    return f"<details><summary>{len(rows)} rulings of the specification</summary>\n{table}\n</details>"


def _list(title: str, items: list[str]) -> str:
    if not items:
        return ""
    return f"<h2>{title}</h2><ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
