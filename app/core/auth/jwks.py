"""Better Auth's public keys, cached.

A known key is returned at once, whatever the auth server does. For an unknown one the set is fetched, once for all
requests that wait, and a fetch that began after the request decides. Between fetches there is a pause, which doubles
with each fetch that brings no new key, so that bogus key ids can't hammer the auth server.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress

import httpx
from jwt import PyJWK

from app.core.deadline import deadline
from app.core.errors import REASON_MAX, KeysUnavailable

ALGORITHMS = ("EdDSA", "ES256", "ES512", "RS256", "PS256")
FETCH_WITHIN = 2.0
"""Seconds for a whole fetch, from the name's look-up to the last byte."""
SET_MAX = 1024 * 1024
"""Bytes; a thousand RSA keys."""
REFRESH = 25.0
"""Seconds between fetches that no request needs: a withdrawn key works until the next one is done."""
PAUSE_MIN, PAUSE_MAX = 0.25, 2.5
"""Seconds from the end of a fetch to the next; a rotated key waits for the maximum at most."""
WAIT_MAX, WAITERS_MAX = 1.0, 100
"""Seconds that a request waits for a pause to end, and how many may do so."""
FIND_TIMEOUT = 3.0
"""Seconds that a request waits in all: for the fetch under way, a pause and the fetch after it."""

_log = logging.getLogger(__name__)


class Keys:
    """The key set at `url`, fetched on first use and then kept up to date by a task that ends with the event loop.

    `changed` is called on any change.
    """

    def __init__(self, url: str, changed: Callable[[], None]) -> None:
        self._current: dict[str, PyJWK] = {}
        """By key id."""
        self._changed = changed
        self.hits = self.misses = 0
        """How often a key was known when it was needed, and how often it was not."""
        self.url = url
        self._tls = httpx.create_ssl_context()
        self._last_set: object = None
        self._failure = ""
        self._began = self._next = 0.0
        """When the last finished fetch began, and when the pause after it ends."""
        self._waiters = 0
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key, or None if the set has no such key; raise KeysUnavailable if the set can't be fetched."""
        if self._fetching is None or self._fetching.done():
            # new ones with the task: those of an event loop that has ended can't be waited for in another one
            self._needed, self._finished = asyncio.Event(), asyncio.Condition()
            self._fetching = asyncio.create_task(self._keep_fetching())
        if key_id in self._current:
            self.hits += 1
            return self._current[key_id]
        self.misses += 1
        asked = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(asked + FIND_TIMEOUT, deadline())), self._finished:
                while key_id not in self._current and self._began < asked:
                    self._ask_for_fetch()
                    await self._finished.wait()
        if key_id not in self._current and (self._failure or self._began < asked):
            raise KeysUnavailable(
                reason=self._failure or f"an unknown kid, and no newer keys from {self.url} in time"
            )
        return self._current.get(key_id)

    def _ask_for_fetch(self) -> None:
        """Have a fetch begin after the pause; raise TimeoutError if that is too long, or if too many wait for it."""
        pause = self._next - asyncio.get_running_loop().time()
        if pause > WAIT_MAX or (pause > 0 and self._waiters >= WAITERS_MAX):
            raise TimeoutError
        self._waiters += 1
        self._needed.set()

    async def _keep_fetching(self) -> None:
        """Fetch at once, and then whenever a request asks for it or REFRESH is over."""
        clock, pause = asyncio.get_running_loop().time, PAUSE_MIN
        while True:
            known, idle = self._current.keys(), clock() - self._next
            began = self._next = (
                clock()
            )  # who asks from now on waits for this fetch, and not for a pause
            await self._fetch()
            fruitless = self._current.keys() <= known and idle < PAUSE_MAX
            pause = min(pause * 2, PAUSE_MAX) if fruitless else PAUSE_MIN
            self._began, self._next, self._waiters = began, clock() + pause, 0
            self._needed.clear()
            async with self._finished:
                self._finished.notify_all()
            with suppress(TimeoutError):
                # not wait_for: Python 3.11's loses a cancellation that comes with the need, and a stop would hang
                async with asyncio.timeout(REFRESH):
                    await self._needed.wait()
                await asyncio.sleep(self._next - clock())

    async def _fetch(self) -> None:
        try:
            served = json.loads(await self._download())["keys"]
            if served != self._last_set:
                self._current, self._last_set = _usable_keys(served), served
                self._changed()
            self._failure = ""
        except Exception as failure:  # whatever is served there, known keys stay in use
            name = "" if type(failure) is ValueError else f"{type(failure).__name__}: "
            self._failure = f"no keys from {self.url}: {name}{ascii(str(failure))[1:-1]}"
            _log.warning("%s", self._failure[:REASON_MAX])

    async def _download(self) -> bytes:
        body = bytearray()
        headers = {"Accept-Encoding": "identity"}  # so that SET_MAX bounds the memory
        async with (
            asyncio.timeout(FETCH_WITHIN),
            httpx.AsyncClient(verify=self._tls, headers=headers) as client,
            client.stream("GET", self.url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                elsewhere = response.headers.get("location")
                why = (
                    f"redirected to {elsewhere}"
                    if elsewhere
                    else "is the JWT plugin there, and its table?"
                )
                raise ValueError(f"status {response.status_code}: {why}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > SET_MAX:
                    raise ValueError(f"more than {SET_MAX} bytes")
        return bytes(body)


def _usable_keys(served: list[dict[str, str]]) -> dict[str, PyJWK]:
    """The keys of a served set, by key id; raises ValueError if none of them is usable."""
    keys = {}
    for entry in served:
        with suppress(
            Exception
        ):  # PyJWT raises errors of Python's own too; the other keys are good
            key = PyJWK(entry)
            if key.algorithm_name in ALGORITHMS and key.key_id:
                keys[key.key_id] = key
    if not keys:
        raise ValueError("no usable key")
    return keys
