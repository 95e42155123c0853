"""A seeded sample of mutants of what decides (auth, errors, queries, schemas), and which the tests let live.

`python -m tests.mutants [how many] [seed]`: cosmic-ray finds and makes the mutants, in copies of the tree.
"""

import ast
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from random import Random

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkResult

ROOT = Path(__file__).parents[1]
TREE = ["app", "docs", "features", "steps", "tests", "conftest.py", "pyproject.toml"]
TESTS = {
    "app/core/auth/tokens.py": ["tokens", "auth", "reasons", "jwks", "http", "observability"],
    "app/core/errors.py": ["auth", "contract", "reasons", "http", "features", "observability"],
    "app/store.py": ["queries", "retries", "contract", "features", "starting_and_stopping"],
    "app/schemas.py": ["schemas", "contract", "http", "features"],
}
"""The tests that may kill a mutant of a file, the likely ones first; all of them are run by `make test`."""
NOT_A_PROGRAM = "fails before the first test"
JOBS = 2
TIMEOUT = 600
"""Seconds; with two at a time the slowest of these suites takes a third of it, and what hangs is killed."""


def _annotations(source: str) -> set[int]:
    """The lines with annotations: what is not a type's `|` there fails at import, which shows nothing."""
    nodes = [getattr(node, name, None) for node in ast.walk(ast.parse(source)) for name in ("annotation", "returns")]
    return {line for node in nodes if node for line in range(node.lineno, node.end_lineno + 1)}


def _mutants() -> Iterator[MutationSpec]:
    """Every mutant that is a program: not of a type's `|`, and nothing that Python refuses or warns of."""
    warnings.simplefilter("error", SyntaxWarning)
    with tempfile.TemporaryDirectory() as folder, use_db(str(Path(folder, "work.sqlite")), WorkDB.Mode.create) as work:
        init([Path(file) for file in TESTS], work, {})
        for item in work.work_items:
            [mutant] = item.mutations
            source = Path(mutant.module_path).read_text()
            if "BitOr" in mutant.operator_name and mutant.start_pos[0] in _annotations(source):
                continue
            # the tool can't take a dotted name out of an `except` (AttributeError)
            with suppress(SyntaxError, AttributeError):
                mutated = mutate_code(source, get_operator(mutant.operator_name)(), mutant.occurrence)
                compile(mutated, mutant.module_path, "exec")
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
    os.environ |= {"PYTHONPATH": str(copy), "TMPDIR": str(copy / "tmp")}


def _judge(mutant: MutationSpec) -> tuple[MutationSpec, WorkResult, float]:
    """The mutant, what became of it, and in how many seconds."""
    pytest = ["nice", sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    tests = [f"tests/test_{name}.py" for name in TESTS[str(mutant.module_path)]]
    start = time.monotonic()
    result = mutate_and_test([mutant], shlex.join([*pytest, *tests]), TIMEOUT)
    for pid in Path("tmp").glob("**/postmaster.pid"):  # where pytest itself had to be killed
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree("tmp", ignore_errors=True)
    Path("tmp").mkdir(exist_ok=True)
    return mutant, result, time.monotonic() - start


def main(number: int = 150, seed: int = 4711) -> None:
    """Print what became of each mutant of the sample, then the rate of the killed and how the others look."""
    os.chdir(ROOT)
    mutants = sorted(_mutants(), key=lambda m: (str(m.module_path), m.operator_name, m.occurrence))
    sample = Random(seed).sample(mutants, min(number, len(mutants)))  # noqa: S311 - it hides nothing
    print(f"{len(sample)} of {len(mutants)} mutants, seed {seed}", flush=True)
    survivors, unimportable, start = [], 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(JOBS, None, _move, (folder,)) as pool:
        Path(folder).chmod(0o755)
        for done, future in enumerate(as_completed([pool.submit(_judge, mutant) for mutant in sample]), 1):
            mutant, result, seconds = future.result()
            failed = re.search(r"^(?:FAILED|ERROR) .*", result.output or "", re.MULTILINE)
            reason = failed[0] if failed else "timeout" if result.output == "timeout" else NOT_A_PROGRAM
            said = reason if result.is_killed else "SURVIVED"
            unimportable += said == NOT_A_PROGRAM
            where = f"{mutant.module_path}:{mutant.start_pos[0]}"
            print(f"{done} {where} {mutant.operator_name} {mutant.occurrence} {seconds:.0f} s {said}", flush=True)
            if not result.is_killed:
                survivors.append(f"{where}\n{result.diff}")
    print("\n\n".join(["", *sorted(survivors)]))
    killed, minutes = len(sample) - len(survivors), (time.monotonic() - start) / 60
    rate = f"{killed} of {len(sample)} killed ({killed / len(sample):.1%}, {unimportable} of them at import)"
    print(f"\n{rate} in {minutes:.0f} minutes")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
