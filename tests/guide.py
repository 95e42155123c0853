"""docs/frontend.md shows parts of tests/node/frontend/: `python -m tests.guide` copies them into it.

In its file a part stands between `// #region NAME` and `// #endregion`, in the guide after `<!-- FILE: NAME -->`.
The parts of client.ts, session.ts and tasks.ts are all of the file.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE, SOURCES = ROOT / "docs/frontend.md", ROOT / "tests/node/frontend"
SHOWN = re.compile(r"<!-- (?P<file>\S+): (?P<region>\S+) -->\n```(?:ts|js)\n(?P<code>.*?)```", re.DOTALL)
REGION = re.compile(r"^// #region (\S+)\n(.*?)^// #endregion$", re.DOTALL | re.MULTILINE)


def regions() -> dict[str, str]:
    """All regions, by `FILE: NAME`."""
    return {
        f"{file.name}: {name}": content
        for file in sorted([*SOURCES.glob("*.ts"), *SOURCES.glob("*.mjs")])
        for name, content in REGION.findall(file.read_text("utf-8"))
    }


def filled(text: str) -> str:
    """The guide with every snippet as it is in the sources; KeyError where the sources don't have it."""
    sources = regions()

    def snippet(shown: re.Match[str]) -> str:
        name = f"{shown['file']}: {shown['region']}"
        return f"<!-- {name} -->\n```{'ts' if shown['file'].endswith('.ts') else 'js'}\n{sources[name]}```"

    return SHOWN.sub(snippet, text)


def shown_files(text: str) -> dict[str, str]:
    """The files as the guide shows them: each one's snippets, in their order."""
    files: dict[str, str] = {}
    for shown in SHOWN.finditer(text):
        files[shown["file"]] = files.get(shown["file"], "") + shown["code"] + "\n"
    return files


if __name__ == "__main__":
    GUIDE.write_text(filled(GUIDE.read_text("utf-8")), "utf-8")
