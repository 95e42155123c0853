"""Imports run one way: `main, cli → router → queries → schemas → models → core`, and one way within the core."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("app.core.deadline", "app.core.logs", "app.core.settings"),
    ("app.core.connection", "app.core.errors", "app.core.tracing"),
    ("app.core.database", "app.core.jwks", "app.core.process", "app.core.protocol", "app.core.requests"),
    ("app.core.auth", "app.core.development", "app.core.server"),
    ("app.core.development", "app.core.metrics", "app.core.openapi"),
    ("app.core.health", "app.core.middleware"),
    ("app.models",),
    ("app.schemas",),
    ("app.queries",),
    ("app.router",),
    ("app.main",),
    ("app.cli",),
)
"""The lowest first; a module imports only from layers below its own."""
HEIGHT = {module: height for height, layer in enumerate(LAYERS) for module in layer}


def _imported(path: Path) -> set[str]:
    """The modules of the app that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{name}" for name in names)}
        found |= set(names)
    return found & HEIGHT.keys()


def test_a_module_imports_only_from_layers_below_its_own() -> None:
    """Every module has a layer, and none imports from its own or a higher one."""
    files = {path for path in (ROOT / "app").rglob("*.py") if "migrations" not in path.parts}
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    assert {name for name in modules if not name.endswith("__init__")} == HEIGHT.keys()
    upward = [
        f"{name} imports {other}"
        for name, path in modules.items()
        for other in _imported(path)
        if HEIGHT[other] >= HEIGHT.get(name, 0)
    ]
    assert upward == []
