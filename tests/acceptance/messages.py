"""The run as Cucumber Messages (https://github.com/cucumber/messages), one JSON object a line."""

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.evidence import ScenarioRun, StepRun, shown_exchanges
from tests.acceptance.redaction import redact
from tests.acceptance.specification import Key, Pickle, Specification
from tests.acceptance.verdict import FAILED, PASSED

PROTOCOL = "34.2.1"

Message = dict[str, Any]


@dataclass(frozen=True)
class Commit:
    """What the run was about, as git knows it; all empty outside a repository."""

    revision: str = ""
    branch: str = ""
    remote: str = ""
    """An https address without credentials, or nothing: the official report goes blank on anything else."""
    changed: bool = False
    """Whether files differ from the revision."""

    @classmethod
    def read(cls, root: Path) -> "Commit":
        """Ask git."""

        def git(*arguments: str) -> str:
            try:
                run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - whichever git there is
            except FileNotFoundError:
                return ""
            return run.stdout.strip() if run.returncode == 0 else ""

        revision = git("rev-parse", "HEAD")
        changed = bool(git("status", "--porcelain", "--untracked-files=no")) if revision else False
        return cls(revision, git("branch", "--show-current"), _address(git("remote", "get-url", "origin")), changed)


def _address(remote: str) -> str:
    if match := re.fullmatch(r"(?:ssh://)?git@([\w.-]+)[:/](.+)", remote):
        return f"https://{match[1]}/{match[2]}"
    parts = urlsplit(remote)
    return f"https://{parts.hostname}{parts.path}" if parts.scheme in ("http", "https") and parts.hostname else ""


def write(path: Path, messages: Iterator[Message]) -> None:
    """Write the Messages, with nothing in them that looks like a token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for message in messages:
            file.write(redact(json.dumps(message, ensure_ascii=False)) + "\n")


def messages(
    specification: Specification, runs: Mapping[Key, ScenarioRun], commit: Commit, started: float, *, success: bool
) -> Iterator[Message]:
    """Tell the features and what came of each scenario; one that never ran has steps, but no results."""
    ids = specification.ids
    yield {"meta": _meta(commit)}
    for document in specification.documents:
        yield {"source": {"uri": document.uri, "data": document.text, "mediaType": "text/x.cucumber.gherkin+plain"}}
        yield {"gherkinDocument": document.node}
        for pickle in document.pickles:
            yield {"pickle": pickle.node}
    definitions: dict[tuple[str, str], str] = {}
    for run in runs.values():
        for step in run["steps"]:
            place = (step["definition"], step["pattern"])
            if step["definition"] and place not in definitions:
                definitions[place] = ids.get_next_id()
                yield _definition(definitions[place], *place)
    hook, this_run = ids.get_next_id(), ids.get_next_id()
    yield {"hook": {"id": hook, "name": "fixtures", "sourceReference": {"uri": "conftest.py"}}}
    yield {"testRunStarted": {"id": this_run, "timestamp": _timestamp(started)}}
    for key, pickle in specification.pickles.items():
        if key in runs:
            case = _Case(ids.get_next_id(), ids.get_next_id(), pickle, runs[key])
            case.plan(ids.get_next_id, hook, definitions)
            yield {"testCase": case.case(this_run)}
            yield from case.results()
    finished = {"testRunStartedId": this_run, "timestamp": _timestamp(time.time()), "success": success}
    yield {"testRunFinished": finished}


def _meta(commit: Commit) -> Message:
    meta = {
        "protocolVersion": PROTOCOL,
        "implementation": {"name": "pytest-bdd", "version": version("pytest-bdd")},
        "runtime": {"name": platform.python_implementation(), "version": platform.python_version()},
        "os": {"name": platform.system().lower(), "version": platform.release()},
        "cpu": {"name": platform.machine()},
    }
    if not commit.remote:
        return meta
    name = "GitHub Actions" if "GITHUB_ACTIONS" in os.environ else "git"
    git = {"remote": commit.remote, "revision": commit.revision}
    return meta | {"ci": {"name": name, "git": git | ({"branch": commit.branch} if commit.branch else {})}}


def _definition(id_: str, place: str, pattern: str) -> Message:
    uri, _, line = place.rpartition(":")
    return {
        "stepDefinition": {
            "id": id_,
            "pattern": {"source": pattern, "type": "CUCUMBER_EXPRESSION"},
            "sourceReference": {"uri": uri, "location": {"line": int(line)}},
        }
    }


class _Case:
    """One scenario's messages."""

    def __init__(self, id_: str, started_id: str, pickle: Pickle, run: ScenarioRun) -> None:
        self._id, self._started_id = id_, started_id
        self._pickle, self._run = pickle, run
        self._steps: list[tuple[Message, StepRun]] = []

    def plan(self, next_id: Any, hook: str, definitions: Mapping[tuple[str, str], str]) -> None:
        """Pair each step of the text with what was recorded of it; a broken fixture is a step of its own."""
        run, recorded = self._run, self._run["steps"]
        failed = next((place for place, step in enumerate(recorded) if step["status"] in ("FAILED", "UNDEFINED")), None)
        outside = run["state"] == FAILED and failed is None
        broken = ({"id": next_id(), "hookId": hook}, self._step("FAILED", run["reason"]))
        if outside and run["before_steps"]:
            self._steps.append(broken)
        # pytest knows more of what went wrong than the step's exception says; a skip ends the last step that began
        blamed = failed if failed is not None else max(len(recorded) - 1, 0)
        for place, text in enumerate(self._pickle.node["steps"]):
            step = recorded[place] if place < len(recorded) else self._step("SKIPPED", "")
            if place == blamed and run["state"] != PASSED and not outside:
                step = {**step, "message": run["reason"] or step["message"]}
            definition = definitions.get((step["definition"], step["pattern"]))
            arguments = [{"group": {"start": at, "value": value, "children": []}} for at, value in step["arguments"]]
            matched = [{"stepMatchArguments": arguments}] if definition else []
            planned = {
                "id": next_id(),
                "pickleStepId": text["id"],
                "stepDefinitionIds": [definition] if definition else [],
                "stepMatchArgumentsLists": matched,
            }
            self._steps.append((planned, step))
        if outside and not run["before_steps"]:
            self._steps.append(broken)

    def _step(self, status: str, message: str) -> StepRun:
        return {
            "started": self._run["ended"],
            "ended": self._run["ended"],
            "status": status,
            "message": message,
            "definition": "",
            "pattern": "",
            "arguments": [],
            "exchanges": [],
        }

    def case(self, this_run: str) -> Message:
        """What was to be done."""
        steps = [planned for planned, _ in self._steps]
        return {"id": self._id, "pickleId": self._pickle.node["id"], "testRunStartedId": this_run, "testSteps": steps}

    def results(self) -> Iterator[Message]:
        """What came of it."""
        begun = {"id": self._started_id, "testCaseId": self._id, "attempt": 0}
        worker = {"workerId": self._run["worker"]} if self._run["worker"] else {}
        yield {"testCaseStarted": {**begun, **worker, "timestamp": _timestamp(self._run["started"])}}
        for planned, step in self._steps:
            at = {"testCaseStartedId": self._started_id, "testStepId": planned["id"]}
            yield {"testStepStarted": {**at, "timestamp": _timestamp(step["started"])}}
            for title, text in shown_exchanges(step):
                body = {"body": text, "contentEncoding": "IDENTITY", "mediaType": "text/plain", "fileName": title}
                yield {"attachment": {**at, **body, "timestamp": _timestamp(step["ended"])}}
            result: Message = {
                "status": step["status"],
                "duration": _timestamp(max(0.0, step["ended"] - step["started"])),
            }
            if step["message"]:
                kind = re.match(r"[\w.]+(?=:)", step["message"])
                exception = {"type": kind[0] if kind else "AssertionError", "message": step["message"]}
                result |= {"message": step["message"]} | (
                    {"exception": exception} if step["status"] == "FAILED" else {}
                )
            yield {"testStepFinished": {**at, "testStepResult": result, "timestamp": _timestamp(step["ended"])}}
        ended = {"testCaseStartedId": self._started_id, "willBeRetried": False}
        yield {"testCaseFinished": {**ended, "timestamp": _timestamp(self._run["ended"])}}


def _timestamp(seconds: float) -> dict[str, int]:
    """Seconds since the epoch, or seconds that something took."""
    return {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}
