"""What the same run covered: the proof of a criterion that has a bar."""

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from coverage.exceptions import CoverageException

from tests.acceptance.catalogue import Bar

Endpoint = tuple[str, str]
"""Its method, and its path with names in braces for what varies."""


@dataclass(frozen=True)
class Covered:
    """What was measured; no shortcomings mean that the bar is reached."""

    lines: float
    branches: float
    whole: dict[str, float]
    endpoints: int
    shortcomings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"lines {self.lines:.1f} %", f"branches {self.branches:.1f} %"]
        parts += [f"{name} {share:.4g} %" for name, share in self.whole.items()]
        return ", ".join([*parts, *([f"{self.endpoints} endpoints with scenarios"] if self.endpoints else [])])


def measured(config: pytest.Config) -> dict[str, Any] | None:
    """Give coverage's report on this run as its JSON says it, or None where nothing was measured."""
    plugin: Any = config.pluginmanager.getplugin("_cov")
    controller = getattr(plugin, "cov_controller", None)
    if controller is None or controller.cov is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        try:
            controller.cov.json_report(outfile=str(report), ignore_errors=True)
        except CoverageException:
            return None  # nothing of the source was run at all
        said: dict[str, Any] = json.loads(report.read_text("utf-8"))
    said["files"] = {Path(name).as_posix(): one for name, one in said["files"].items()}
    return said


def judge(
    said: dict[str, Any], bar: Bar, endpoints: Iterable[Endpoint], answered: Iterable[tuple[str, str, int]]
) -> Covered:
    """Hold the measurement against the bar; `answered` are the exchanges of scenarios that passed."""
    totals = said["totals"]
    lines = _share(totals["covered_lines"], totals["num_statements"])
    branches = _share(totals.get("covered_branches", 0), totals.get("num_branches", 0))
    whole = {name: said["files"].get(name, {}).get("summary", {}).get("percent_covered", 0.0) for name in bar.whole}
    shortcomings = [
        f"{share:.1f} % of the {what} are covered, and {bar.least:g} % must be"
        for what, share in (("lines", lines), ("branches", branches))
        if share < bar.least
    ]
    if "num_branches" not in totals:
        shortcomings.append("branches were not measured: run coverage with them")
    for name, share in whole.items():
        if share < 100:
            missing = said["files"].get(name, {}).get("missing_lines", [])
            shortcomings.append(f"{name} is covered to {share:.1f} %, and must be wholly; lines without: {missing}")
    succeeded = [(method, path) for method, path, status in answered if 200 <= status < 300]
    all_endpoints = list(endpoints)
    shortcomings += [
        f"no scenario that passed had {method} {path} succeed"
        for method, path in all_endpoints
        if not any(method == asked and _is(path, to) for asked, to in succeeded)
    ]
    return Covered(lines, branches, whole, len(all_endpoints), shortcomings)


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 100.0


def _is(template: str, path: str) -> bool:
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({[^}]*})", template))
    return re.fullmatch(pattern, path) is not None
