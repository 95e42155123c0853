"""Imports run one way: `main, cli → router → queries → schemas → models → core`, and one way within the core."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("app.core.deadline", "app.core.exchange", "app.core.limits", "app.core.settings"),
    ("app.core.errors",),
    ("app.core.auth.egress",),
    ("app.core.database.dsn", "app.core.auth.jwks"),
    ("app.core.database.connection", "app.core.auth.tokens"),
    ("app.core.database.pool", "app.core.auth.gate"),
    ("app.core.observability.logs", "app.core.observability.tracing"),
    ("app.core.observability.metrics",),
    ("app.core.http.answers", "app.core.http.requests"),
    ("app.core.http.contract", "app.core.http.cors", "app.core.http.middleware"),
    ("app.core.http.docs", "app.core.http.health"),
    ("app.core.server.forwarded",),
    ("app.core.server.process", "app.core.server.protocol"),
    ("app.core.server.run",),
    ("app.core.development",),
    ("app.models",),
    ("app.schemas",),
    ("app.store",),
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
