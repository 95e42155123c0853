"""A key server, and the application's verifier that trusts it, on an event loop of its own."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.core.auth.tokens import Verifier
from app.core.deadline import set_deadline
from app.core.errors import REASON_MAX, AuthInvalid, KeysUnavailable
from tests.support.clock import PATIENCE
from tests.support.key_server import Key, KeyServer, key_server
from tests.support.service import settings_for

Verdict = str | type[AuthInvalid] | type[KeysUnavailable]
"""A good token's user, or why there is none."""
REQUEST_TIMEOUT = PATIENCE
"""Seconds; more than any wait for a key."""


@dataclass
class Home:
    """A key server, and a verifier that trusts it; the verifier's loop runs while something is asked of it."""

    server: KeyServer
    verifier: Verifier
    _runner: asyncio.Runner = field(repr=False)

    def run(self, work: Awaitable[Any]) -> Any:
        """Run the loop until this is done."""

        async def done() -> Any:
            return await work

        return self._runner.run(done())

    def sleep(self, seconds: float) -> None:
        """Let time pass on the loop."""
        self.run(asyncio.sleep(seconds))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin this; it goes on while the loop runs."""
        return self._runner.get_loop().create_task(work)

    def start(self, tokens: Iterable[str], seconds: float = REQUEST_TIMEOUT) -> list[asyncio.Task[Verdict]]:
        """Begin to judge all of these at once, each within so many seconds."""
        loop = self._runner.get_loop()
        return [loop.create_task(self._verdict(token, seconds)) for token in tokens]

    def judge_all(self, tokens: Iterable[str]) -> list[Verdict]:
        """Judge all of these at once."""
        return [self.run(task) for task in self.start(tokens)]

    def judge(self, token: str, seconds: float = REQUEST_TIMEOUT) -> Verdict:
        """Judge one token."""
        (task,) = self.start([token], seconds)
        verdict: Verdict = self.run(task)
        return verdict

    def reason(self, token: str) -> str:
        """The log's reason for refusing a token."""

        async def judge() -> str:
            set_deadline(REQUEST_TIMEOUT)
            try:
                return await self.verifier.verify(token)
            except (AuthInvalid, KeysUnavailable) as refusal:
                return refusal.reason

        reason: str = self.run(judge())
        return reason

    def token(self, key: Key, user: str = "alice", **others: Any) -> str:
        """Sign a token as the server's Better Auth would."""
        return key.token(self.server.url, user, **others)

    def judge_new(self, key: Key, **others: Any) -> Verdict:
        """Judge a new token under a key."""
        return self.judge(self.token(key, **others))

    async def _verdict(self, token: str, seconds: float) -> Verdict:
        set_deadline(seconds)
        try:
            return await self.verifier.verify(token)
        except (AuthInvalid, KeysUnavailable) as refusal:
            hold_reason(refusal.reason[:REASON_MAX], token)
            return type(refusal)


def hold_reason(reason: str, token: str) -> None:
    """Every refusal has a reason for the log: one printable sentence, with no part of the token."""
    assert reason
    assert reason.isprintable()
    assert not [part for part in token.split(".") if len(part) > 9 and part in reason]


@contextmanager
def home(*keys: Key, path: str = "", **settings: Any) -> Iterator[Home]:
    """Run a server of these keys, with a verifier for both modes."""
    with key_server(*keys) as server, asyncio.Runner() as runner:
        ours = {"better_auth_url": server.url + path, "request_timeout": REQUEST_TIMEOUT}
        chosen = settings_for("postgresql://nowhere", **ours | settings)
        here = Home(server, Verifier(chosen), runner)
        yield here
