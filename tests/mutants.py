"""A seeded sample of mutants of what decides (auth, errors, store, schemas), and which the tests let live.

`python -m tests.mutants [how many] [seed]`. A mutant is one of these files with one node of its syntax tree replaced.
It runs in a copy of the tree.
"""

import ast
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
TREE = ["app", "docs", "features", "steps", "tests", "conftest.py", "pyproject.toml"]
TESTS = {
    "app/core/auth/tokens.py": ["tokens", "auth", "reasons", "jwks", "http", "observability", "features"],
    "app/core/errors.py": ["auth", "contract", "reasons", "http", "features", "observability"],
    "app/store.py": ["store", "retries", "contract", "features"],
    "app/schemas.py": ["schemas", "contract", "http", "features"],
}
"""The files that are mutated, each with the tests that may kill its mutants, the likely ones first.

All of these are run by `make test`; `features` is every scenario.
"""
NOT_A_PROGRAM = "fails before the first test"
JOBS = 2
TIMEOUT = 600
"""Seconds; with two at a time the slowest of these suites takes a third of it, and what hangs is killed."""

COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}


@dataclass(frozen=True, order=True)
class Mutant:
    """A file of the app, in which the bytes from `start` to `end` are replaced; `line` is the first one's."""

    file: str
    start: int
    end: int
    replacement: bytes
    line: int

    def apply(self, source: bytes) -> bytes:
        """Return the file's new source."""
        return source[: self.start] + self.replacement + source[self.end :]

    def diff(self) -> str:
        """Show the change, as `diff -u` does."""
        source = (ROOT / self.file).read_bytes()
        before = source.decode().splitlines()
        after = self.apply(source).decode().splitlines()
        return "\n".join(difflib.unified_diff(before, after, self.file, self.file, lineterm="", n=1))


def _variants(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:  # noqa: C901, PLR0912 - a case for each kind
    """What may be wrong about a node: the part of it that is replaced, and by what."""
    match node:
        case ast.Compare():
            for position, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    operators = [*node.ops[:position], other(), *node.ops[position + 1 :]]
                    yield node, ast.Compare(node.left, operators, node.comparators)
        case ast.BoolOp():
            yield node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield node, ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        case ast.UnaryOp(op=ast.Not()):
            yield node, node.operand
        case ast.Constant(value=bool(value)):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield node, ast.Constant(value + 1)
            yield node, ast.Constant(value - 1)
        case ast.Break():
            yield node, ast.Continue()
        case ast.Continue():
            yield node, ast.Break()
        case ast.ExceptHandler() if node.type:
            yield node.type, ast.Tuple([], ast.Load())  # catches nothing
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await()):
            yield node, ast.Pass()
        case ast.Return(value=ast.expr() as value):
            yield value, ast.Constant(None)
        case ast.For() | ast.comprehension():
            yield node.iter, ast.Tuple([], ast.Load())
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            for decorator in node.decorator_list:
                yield decorator, ast.parse("lambda decorated: decorated", mode="eval").body
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield node.test, ast.UnaryOp(ast.Not(), node.test)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those in an f-string, whose positions Python 3.11 does not know."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, ast.JoinedStr):
            yield from _nodes(child)


def mutants(file: str, source: bytes) -> Iterator[Mutant]:
    """Give every mutant of a file that is a program: nothing that Python refuses or warns of."""
    lines = source.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    for node in _nodes(ast.parse(source)):
        for replaced, by in _variants(node):
            if ast.dump(replaced) == ast.dump(by):
                continue  # `return None` would be replaced by itself
            assert isinstance(replaced, ast.expr | ast.stmt)
            assert replaced.end_lineno is not None
            assert replaced.end_col_offset is not None
            start = starts[replaced.lineno - 1] + replaced.col_offset
            end = starts[replaced.end_lineno - 1] + replaced.end_col_offset
            text = ast.unparse(ast.fix_missing_locations(by))
            if isinstance(by, ast.expr):
                text = f"({text})"
            mutant = Mutant(file, start, end, text.encode(), replaced.lineno)
            with warnings.catch_warnings(), suppress(SyntaxError):
                warnings.simplefilter("error", SyntaxWarning)
                compile(mutant.apply(source), file, "exec")
                yield mutant


def _move(folder: str) -> None:
    """Let this process work in a copy of the tree in this folder, and leave everything temporary there."""
    copy = Path(tempfile.mkdtemp(dir=folder))
    for name in TREE:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
    (copy / "tmp").mkdir()
    copy.chmod(0o755)  # PostgreSQL's own user goes through it
    (copy / "tmp").chmod(0o755)
    os.chdir(copy)
    # a module's bytecode is found by its source's second and size, which a mutant may share with another
    os.environ |= {"PYTHONPATH": str(copy), "TMPDIR": str(copy / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}


def _test(file: str) -> tuple[bool, str]:
    """Run the tests of this file here: whether all passed, and what the first one that did not is called."""
    pytest = ["nice", sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    tests = [f"tests/test_{name}.py" for name in TESTS[file]]
    process = subprocess.Popen(  # noqa: S603 - our own
        [*pytest, *tests], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
        failed = re.search(r"^(?:FAILED|ERROR) .*", output, re.MULTILINE)
        reason = failed[0] if failed else NOT_A_PROGRAM
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reason = "timeout"
    for pid in Path("tmp").glob("**/postmaster.pid"):  # where pytest itself had to be killed
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree("tmp", ignore_errors=True)
    Path("tmp").mkdir(exist_ok=True)
    return process.returncode == 0, reason


def _judge(mutant: Mutant) -> tuple[Mutant, bool, str, float]:
    """The mutant, whether it survived, what killed it, and in how many seconds."""
    source = (ROOT / mutant.file).read_bytes()
    start = time.monotonic()
    Path(mutant.file).write_bytes(mutant.apply(source))
    try:
        survived, reason = _test(mutant.file)
    finally:
        Path(mutant.file).write_bytes(source)
    return mutant, survived, reason, time.monotonic() - start


def main(number: int = 150, seed: int = 4711) -> None:
    """Print what became of each mutant of the sample, then the rate of the killed and how the others look."""
    possible = [mutant for file in TESTS for mutant in sorted(mutants(file, (ROOT / file).read_bytes()))]
    sample = Random(seed).sample(possible, min(number, len(possible)))  # noqa: S311 - it hides nothing
    print(f"{len(sample)} of {len(possible)} mutants, seed {seed}", flush=True)
    survivors: list[Mutant] = []
    unimportable = 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(JOBS, None, _move, (folder,)) as pool:
        Path(folder).chmod(0o755)
        files = sorted({mutant.file for mutant in sample})
        for file, (passed, reason) in zip(files, pool.map(_test, files), strict=True):
            assert passed, f"the tests of {file} fail without a mutant, so that they would kill each: {reason}"
        for done, future in enumerate(as_completed([pool.submit(_judge, mutant) for mutant in sample]), 1):
            mutant, survived, reason, seconds = future.result()
            if survived:
                survivors.append(mutant)
                reason = "SURVIVED"
            unimportable += reason == NOT_A_PROGRAM
            print(f"{done} {mutant.file}:{mutant.line} {seconds:.0f} s {reason}", flush=True)
    print("\n\n".join(["", *[mutant.diff() for mutant in sorted(survivors)]]))
    killed = len(sample) - len(survivors)
    minutes = (time.monotonic() - start) / 60
    rate = f"{killed} of {len(sample)} killed ({killed / len(sample):.1%}, {unimportable} of them at import)"
    print(f"\n{rate} in {minutes:.0f} minutes")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
