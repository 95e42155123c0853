"""Better Auth's public keys (a JWK Set, RFC 7517, 5), cached.

A key of the cached set is returned at once, whatever the auth server does. A key id that the set
does not have makes one fetch for all requests that wait for it. It is unknown only if a fetch that
*started after* the request does not bring it. Between fetches there is a pause. The pause doubles
with each fetch that brings no new key, so that made-up key ids can't hammer the auth server.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx
from jwt import PyJWK

from app.core.deadline import deadline
from app.core.errors import REASON_MAX, KeysUnavailable

ALGORITHMS = ("EdDSA", "ES256", "ES512", "RS256", "PS256")
"""Those that Better Auth can sign with."""
FETCH_WITHIN = 2.0
"""Seconds for a whole fetch, from the look-up of the name to the last byte."""
SET_MAX = 1024 * 1024
"""Bytes of a key set; a thousand RSA keys fit."""
REFRESH = 25.0
"""Seconds between fetches that no request asks for: they find out that a key was withdrawn."""
PAUSE_MIN = 0.25
"""Seconds between two fetches at least."""
PAUSE_MAX = 2.5
"""Seconds between two fetches while requests ask for keys that are not there: a rotated key waits
so long at most."""
WAIT_MAX = 1.0
"""Seconds that a request waits for a pause to end; for a longer pause it does not wait at all."""
WAITERS_MAX = 100
"""Requests that may wait for the same pause to end."""
FIND_TIMEOUT = 3.0
"""Seconds that a request waits in all: for the fetch under way, a pause, and the fetch after it."""

_log = logging.getLogger(__name__)


class TooManyWaiters(Exception):
    """A request can't wait for the next fetch: too many do, or it is too far away."""


class BadKeySet(Exception):
    """The auth server's answer is not a usable key set; the message says why, for the log."""


class Keys:
    """The key set at `url`, fetched on first use and then kept up to date by an asyncio task.

    `on_change` is called whenever another set than before was read.
    """

    def __init__(self, url: str, on_change: Callable[[], None]) -> None:
        self.url = url
        self.hits = 0
        """How often a key was in the cache when it was needed."""
        self.misses = 0
        """How often it was not."""
        self._on_change = on_change
        self._tls = httpx.create_ssl_context()
        self._keys: dict[str, PyJWK] = {}
        """By key id."""
        self._served_set: object = None
        """The last set that was read, as it was served."""
        self._failure = ""
        """Why the last fetch has failed; empty if it has not."""
        # All times are the event loop's.
        self._fetch_began_at = -math.inf
        """When the last fetch that is done began."""
        self._is_fetching = False
        self._pause_ends_at = 0.0
        self._waiting = 0
        """How many requests wait for the pause to end."""
        self._task: asyncio.Task[None] | None = None
        self._fetch_wanted = asyncio.Event()
        self._fetch_done = asyncio.Condition()

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id, or None if the auth server serves no such key.

        Waits for a fetch if the key is not in the cache, until this task's deadline. Raises
        KeysUnavailable, with the reason for the log, if the set can't be had.
        """
        self._start_fetching()
        if key_id in self._keys:
            self.hits += 1
            return self._keys[key_id]
        self.misses += 1
        asked_at = asyncio.get_running_loop().time()
        with suppress(TimeoutError, TooManyWaiters):
            async with asyncio.timeout_at(min(asked_at + FIND_TIMEOUT, deadline())):
                await self._wait_for_newer_set(key_id, asked_at)
        if key_id in self._keys:
            return self._keys[key_id]
        if self._failure:
            raise KeysUnavailable(reason=self._failure)
        if self._fetch_began_at < asked_at:
            raise KeysUnavailable(
                reason=f"an unknown kid, and no newer keys from {self.url} in time"
            )
        return None

    def _start_fetching(self) -> None:
        """Start the task that fetches, if it does not run."""
        if self._task and not self._task.done():
            return
        # A task that is done has ended with its event loop. What was waited for in that loop can't
        # be waited for in another one.
        self._fetch_wanted = asyncio.Event()
        self._fetch_done = asyncio.Condition()
        self._is_fetching = True
        self._task = asyncio.create_task(self._keep_fetching())

    async def _wait_for_newer_set(self, key_id: str, asked_at: float) -> None:
        """Wait for the key, or for a fetch that began after `asked_at`; raises TooManyWaiters."""
        async with self._fetch_done:
            while key_id not in self._keys and self._fetch_began_at < asked_at:
                self._ask_for_fetch()
                await self._fetch_done.wait()

    def _ask_for_fetch(self) -> None:
        """Have a fetch begin when the pause is over; raises TooManyWaiters."""
        if not self._is_fetching:
            pause = self._pause_ends_at - asyncio.get_running_loop().time()
            if pause > WAIT_MAX:
                raise TooManyWaiters
            if pause > 0 and self._waiting >= WAITERS_MAX:
                raise TooManyWaiters
        self._waiting += 1
        self._fetch_wanted.set()

    async def _keep_fetching(self) -> None:
        """Fetch now, and again when a request asks for it or REFRESH is over."""
        now = asyncio.get_running_loop().time
        pause = PAUSE_MIN
        while True:
            self._is_fetching = True
            ids_before = set(self._keys)
            began_at = now()
            quiet_for = began_at - self._pause_ends_at
            await self._fetch()
            brought_a_new_key = bool(set(self._keys) - ids_before)
            if brought_a_new_key or quiet_for >= PAUSE_MAX:
                pause = PAUSE_MIN
            else:
                pause = min(pause * 2, PAUSE_MAX)
            self._is_fetching = False
            self._fetch_began_at = began_at
            self._pause_ends_at = now() + pause
            self._waiting = 0
            self._fetch_wanted.clear()
            async with self._fetch_done:
                self._fetch_done.notify_all()
            # asyncio.wait_for loses a cancellation that comes together with the event (Python
            # 3.11): a stop would hang.
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH):
                    await self._fetch_wanted.wait()
                    await asyncio.sleep(self._pause_ends_at - now())

    async def _fetch(self) -> None:
        """Read the set that is served now; if that fails, the keys stay as they are."""
        try:
            await self._read_set()
            self._failure = ""
        except BadKeySet as failure:
            self._fail(str(failure))
        except Exception as failure:
            # The auth server is not ours: whatever it does, the task goes on.
            self._fail(f"{type(failure).__name__}: {failure}")

    def _fail(self, why: str) -> None:
        self._failure = f"no keys from {self.url}: {printable(why)}"
        _log.warning("%s", self._failure[:REASON_MAX])

    async def _read_set(self) -> None:
        served_set = json.loads(await self._download())["keys"]
        if served_set == self._served_set:
            return
        self._keys = _usable_keys(served_set)
        self._served_set = served_set
        self._on_change()

    async def _download(self) -> bytes:
        """The body at the URL; raises BadKeySet, and httpx's errors."""
        body = bytearray()
        headers = {
            "Accept-Encoding": "identity"
        }  # a compressed body could be far larger than SET_MAX
        async with (
            asyncio.timeout(FETCH_WITHIN),
            httpx.AsyncClient(verify=self._tls, headers=headers) as client,
            client.stream("GET", self.url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                hint = "is the JWT plugin there, and its table?"
                location = response.headers.get("location")
                if location:
                    hint = f"redirected to {location}"
                raise BadKeySet(f"status {response.status_code}: {hint}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > SET_MAX:
                    raise BadKeySet(f"more than {SET_MAX} bytes")
        return bytes(body)


def _usable_keys(served_set: list[Mapping[str, Any]]) -> dict[str, PyJWK]:
    """The keys that may verify tokens, by key id; raises BadKeySet if there is none."""
    keys: dict[str, PyJWK] = {}
    for jwk in served_set:
        # A JWK that is malformed must not cost the others. PyJWT raises errors of Python's own too.
        with suppress(Exception):
            key = PyJWK(dict(jwk))
            if key.algorithm_name in ALGORITHMS and key.key_id:
                keys[key.key_id] = key
    if not keys:
        raise BadKeySet("no usable key")
    return keys


def printable(text: str) -> str:
    """The text in printable ASCII, all else escaped: it may come from the auth server."""
    quoted = ascii(text)
    return quoted[1:-1]
