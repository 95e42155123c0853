"""Better Auth's public keys, cached (spec: Authentication).

A key that is known is there at once, whatever the auth server does. One that is not is looked for: the set is
fetched, once for all who ask, and a fetch that began after the question decides it. Between fetches there is a
pause, which doubles with each that brings no new key, so that bogus key ids can't hammer the auth server.
"""

import asyncio
import json
import logging
import math
from contextlib import suppress

import httpx
from jwt import PyJWK

from app.core.deadline import deadline
from app.core.errors import KeysUnavailable

ALGORITHMS = ("EdDSA", "ES256", "ES512", "RS256", "PS256")
FETCH_WITHIN = 2.0
"""Seconds for a whole fetch, from the name's look-up to the last byte."""
SET_MAX = 1024 * 1024
"""Bytes; a thousand RSA keys."""
REFRESH = 25.0
"""Seconds between fetches when nothing else calls for one: a withdrawn key works until the next one is done."""
PAUSE_MIN, PAUSE_MAX = 0.25, 2.5
"""Seconds from the end of a fetch to the next; a rotated key waits for the longest of them at most."""
WAIT_MAX, WAITERS_MAX = 1.0, 100
"""Seconds that a request waits for a pause to end, and how many may do so."""
DECIDED_WITHIN = 3.0
"""Seconds that a request waits in all: for the fetch under way, a pause and the fetch after it."""

_log = logging.getLogger(__name__)


class Keys:
    """The key set at `url`, fetched when first asked for and then kept up to date."""

    def __init__(self, url: str) -> None:
        self.current: dict[str, PyJWK] = {}
        """By key id; another object after any change."""
        self.hits = self.misses = 0
        """How often a key was there when it was asked for, and how often it was not."""
        self._url = url
        self._tls = httpx.create_ssl_context()
        self._served: object = None
        self._failed = False
        self._began = self._next = -math.inf
        self._pause, self._waiting = PAUSE_MIN, 0
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key, or None where there is no such key; KeysUnavailable where that can't be said in time."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        if key_id in self.current:
            self.hits += 1
            return self.current[key_id]
        self.misses += 1
        asked = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(asked + DECIDED_WITHIN, deadline())):
                while key_id not in self.current and self._began < asked:
                    await self._wait_or_fetch()
        if key_id not in self.current and (self._failed or self._began < asked):
            raise KeysUnavailable
        return self.current.get(key_id)

    async def close(self) -> None:
        """End what goes on in the background."""
        under_way = [task for task in (self._refreshing, self._fetching) if task]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            await self._fetched()

    async def _wait_or_fetch(self) -> None:
        pause = self._next - asyncio.get_running_loop().time()
        if pause <= 0 or (self._fetching and not self._fetching.done()):
            await self._fetched()
        elif pause > WAIT_MAX or self._waiting >= WAITERS_MAX:
            raise KeysUnavailable
        else:
            self._waiting += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self._waiting -= 1

    async def _fetched(self) -> None:
        """Wait for the fetch under way, or a new one; it goes on for the others when one gives up."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.wait([self._fetching])

    async def _fetch(self) -> None:
        clock = asyncio.get_running_loop().time
        began, known = clock(), self.current.keys()
        try:
            self._take(await self._download())
            self._failed = False
        except Exception as failure:  # whatever is served there, known keys go on
            self._failed = True
            _log.warning("the keys of Better Auth can't be had: %s", type(failure).__name__)
        fruitless = self.current.keys() <= known and began - self._next < PAUSE_MAX
        self._pause = min(self._pause * 2, PAUSE_MAX) if fruitless else PAUSE_MIN
        self._began, self._next = began, clock() + self._pause

    async def _download(self) -> bytes:
        body = bytearray()
        headers = {"Accept-Encoding": "identity"}  # so that the limit is one of memory
        async with (
            asyncio.timeout(FETCH_WITHIN),
            httpx.AsyncClient(verify=self._tls, headers=headers) as client,
            client.stream("GET", self._url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(response.status_code)
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > SET_MAX:
                    raise ValueError(len(body))
        return bytes(body)

    def _take(self, body: bytes) -> None:
        """Replace the keys by those of a set that has a usable one; ValueError where it has none."""
        served = json.loads(body)["keys"]
        if served == self._served:
            return
        keys = {}
        for entry in served:
            with suppress(Exception):  # PyJWT lets some of Python's own errors through; the other keys are good
                key = PyJWK(entry)
                if key.algorithm_name in ALGORITHMS and key.key_id:
                    keys[key.key_id] = key
        if not keys:
            raise ValueError("no usable key")
        self.current, self._served = keys, served
