"""Better Auth's public keys, cached.

A known key is returned at once, whatever the auth server does. For an unknown one the set is fetched, once for all
requests that wait, and a fetch that began after the request decides. Between fetches there is a pause, which doubles
with each fetch that brings no new key, so that bogus key ids can't hammer the auth server.
"""

import asyncio
import json
import logging
import math
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
    """The key set at `url`, fetched on first use and then kept up to date by tasks that end with the event loop."""

    def __init__(self, url: str) -> None:
        self.current: dict[str, PyJWK] = {}
        """By key id; replaced by a new dict on any change."""
        self.hits = self.misses = 0
        """How often a key was known when it was needed, and how often it was not."""
        self.url = url
        self._tls = httpx.create_ssl_context()
        self._last_set: object = None
        self._failure = ""
        self._began = self._next = -math.inf
        self._pause, self._waiters = PAUSE_MIN, 0
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key, or None if the set has no such key; raise KeysUnavailable if the set can't be fetched."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        if key_id in self.current:
            self.hits += 1
            return self.current[key_id]
        self.misses += 1
        asked = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(asked + FIND_TIMEOUT, deadline())):
                while key_id not in self.current and self._began < asked:
                    await self._wait_or_fetch()
        if key_id not in self.current and (self._failure or self._began < asked):
            raise KeysUnavailable(reason=self._failure or f"an unknown kid, and no newer keys from {self.url} in time")
        return self.current.get(key_id)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            await self._wait_for_fetch()

    async def _wait_or_fetch(self) -> None:
        pause = self._next - asyncio.get_running_loop().time()
        if pause <= 0 or (self._fetching and not self._fetching.done()):
            await self._wait_for_fetch()
        elif pause > WAIT_MAX or self._waiters >= WAITERS_MAX:
            raise TimeoutError
        else:
            self._waiters += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self._waiters -= 1

    async def _wait_for_fetch(self) -> None:
        """Wait for the fetch under way, or a new one; a waiter that gives up does not cancel it for the others."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.wait([self._fetching])

    async def _fetch(self) -> None:
        clock = asyncio.get_running_loop().time
        began, known = clock(), self.current.keys()
        try:
            self._replace_keys(await self._download())
            self._failure = ""
        except Exception as failure:  # whatever is served there, known keys stay in use
            name = "" if type(failure) is ValueError else f"{type(failure).__name__}: "
            self._failure = f"no keys from {self.url}: {name}{ascii(str(failure))[1:-1]}"
            _log.warning("%s", self._failure[:REASON_MAX])
        fruitless = self.current.keys() <= known and began - self._next < PAUSE_MAX
        self._pause = min(self._pause * 2, PAUSE_MAX) if fruitless else PAUSE_MIN
        self._began, self._next = began, clock() + self._pause

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
                why = f"redirected to {elsewhere}" if elsewhere else "is the JWT plugin there, and its table?"
                raise ValueError(f"status {response.status_code}: {why}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > SET_MAX:
                    raise ValueError(f"more than {SET_MAX} bytes")
        return bytes(body)

    def _replace_keys(self, body: bytes) -> None:
        """Replace the keys by those of a served set; raises ValueError if none of them is usable."""
        served = json.loads(body)["keys"]
        if served == self._last_set:
            return
        keys = {}
        for entry in served:
            with suppress(Exception):  # PyJWT raises errors of Python's own too; the other keys are good
                key = PyJWK(entry)
                if key.algorithm_name in ALGORITHMS and key.key_id:
                    keys[key.key_id] = key
        if not keys:
            raise ValueError("no usable key")
        self.current, self._last_set = keys, served
