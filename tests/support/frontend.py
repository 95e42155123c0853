"""The frontend of tests/node/frontend/: its types, made from a contract, and its page."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.support.better_auth import NODE

SOURCES = NODE / "frontend"
MODULES = NODE / "node_modules"


def build(contract: Path, folder: Path, sources: Path = SOURCES) -> subprocess.CompletedProcess[str]:
    """Make types from an OpenAPI document, check the frontend against them with tsc, and put the page into `folder`.

    Returns what tsc said, or openapi-typescript where that could not make the types.
    """
    types = run("openapi-typescript/bin/cli.js", str(contract), "--output", str(folder / "contract.d.ts"))
    if types.returncode != 0:
        return types
    options = {"rootDirs": [str(sources), str(folder)], "rootDir": str(sources), "outDir": str(folder)}
    files = [str(sources / "page.ts")]
    project = {"extends": str(SOURCES / "tsconfig.json"), "compilerOptions": options, "files": files}
    (folder / "tsconfig.json").write_text(json.dumps(project))
    shutil.copy(MODULES / "openapi-fetch/dist/index.mjs", folder / "openapi-fetch.js")
    return run("typescript/bin/tsc", "--strict", "--project", str(folder))


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that came from npm."""
    command = ["node", str(MODULES / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - locked
