"""A real Better Auth (tests/node/), and what a frontend does there: sign up, and fetch a token."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.service import SECRET

NODE = Path(__file__).parent.parent / "node"


@dataclass
class Account:
    """Somebody's account at a Better Auth, and the browser they are signed in with."""

    user_id: str
    browser: httpx.Client = field(repr=False)

    def token(self) -> str:
        """Fetch a new JWT, as the frontend does before it calls the API."""
        answer = self.browser.get("/api/auth/token").raise_for_status()
        return str(answer.json()["token"])

    def session_cookie(self) -> str:
        """The JWT in which Better Auth keeps a session in the browser."""
        return self.browser.cookies["better-auth.session_data"]


class BetterAuth:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], stack: ExitStack) -> None:
        self._process = process
        self._stack = stack
        self.url = self._line()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        assert line, "Better Auth has ended"
        return line

    def tell(self, command: str) -> Any:
        """Give it one of the commands of tests/node/better_auth.mjs."""
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def freeze(self) -> None:
        """Stop it where it stands: connections are taken, and nothing is answered."""
        psutil.Process(self._process.pid).suspend()

    def come_back(self) -> None:
        """Go on after a freeze, and open the door again."""
        psutil.Process(self._process.pid).resume()
        self.tell("open")

    def sign_up(self, name: str, **profile: str) -> Account:
        """Sign up over HTTP."""
        browser = self._stack.enter_context(httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=30))
        person = {"name": name, "email": f"{name.lower()}@example.com", "password": "correct horse battery staple"}
        answer = browser.post("/api/auth/sign-up/email", json=person | profile).raise_for_status()
        return Account(answer.json()["user"]["id"], browser)


@contextmanager
def running_better_auth(**options: object) -> Iterator[BetterAuth]:
    """Run a Better Auth as it comes, but for these options of tests/node/better_auth.mjs."""
    command = ["node", str(NODE / "better_auth.mjs"), json.dumps({"secret": SECRET} | options)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,  # noqa: S603 - our own
        ExitStack() as stack,
    ):
        # its stdin closes, and so it ends
        stack.callback(lambda: psutil.Process(process.pid).resume())
        yield BetterAuth(process, stack)
