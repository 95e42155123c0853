"""Print the lines of code of each file of the app: no blanks, comments, docstrings or migrations."""

import ast
import io
import tokenize
from pathlib import Path

APP = Path(__file__).parent.parent / "app"
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def count(source: str) -> int:
    """Count the lines that hold a token of code, without the docstrings."""
    strings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type not in NOT_CODE]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - strings)


if __name__ == "__main__":
    files = [path for path in sorted(APP.rglob("*.py")) if "migrations" not in path.parts]
    counts = {path.relative_to(APP): count(path.read_text()) for path in files}
    for path, lines in counts.items():
        print(f"{lines:5}  {path}")
    floor = sum(lines for path, lines in counts.items() if path.parts[0] != "core")
    print(f"{floor:5}  the front floor\n{sum(counts.values()):5}  in all")
