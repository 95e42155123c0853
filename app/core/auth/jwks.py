"""Better Auth's public keys (a JWK Set, RFC 7517, 5), cached.

A key of the cached set is returned at once, whatever the auth server does. A key id that the set
does not have makes one fetch for all requests that wait for it. A key id is refused as unknown only
if a fetch that *started after* the request does not bring it: an earlier one may have read the set
before the key was added to it. Between fetches there is a pause. It doubles, up to PAUSE_MAX, while
requests ask and no new key comes, so that made-up key ids can't hammer the auth server.
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

from app.core.auth.egress import egress_to
from app.core.deadline import deadline
from app.core.errors import REASON_MAX, KeysUnavailable
from app.core.printable import printable

ALGORITHMS = ("EdDSA", "ES256", "ES512", "RS256", "PS256")
"""Those that Better Auth can sign with."""
FETCH_WITHIN = 2.0
"""Seconds for a whole fetch, from the look-up of the name to the last byte."""
SET_MAX = 1024 * 1024
"""Bytes of a key set; a thousand RSA keys fit."""
REFRESH = 25.0
"""Seconds between fetches that no request asks for: they find out that a key was withdrawn."""
PAUSE_MIN = 0.25
"""Seconds of the shortest pause, from the start of a fetch to the start of the next.

From the end of a fetch to the start of the next, it is never less than this either.
"""
PAUSE_MAX = 2.0
"""Seconds of the longest pause, from the start of a fetch to the start of the next."""
PAUSE_SHARE = 0.4
"""The longest pause, as a share of a request's time, where that is less than PAUSE_MAX.

Half of the request's time is for the fetch, and a tenth for the answer.
"""
WAITERS_MAX = 1000
"""Requests that may wait for a fetch, once there has been one.

Each takes about 13 kB, and holds a connection of its own. Whoever fills these places holds about as
many connections as a process may open by default (1,024 files). A proxy must prevent that (R-44).
"""

_log = logging.getLogger(__name__)


class TooManyWaiters(Exception):
    """So many requests wait for the next fetch that another one may not; the message says so."""


class BadKeySet(Exception):
    """The auth server's answer is not a key set; the message says why, for the log."""


class Keys:
    """The key set at `url`, fetched on first use and then kept up to date by an asyncio task.

    `on_change` is called when a set was read that differs from the one before. `request_seconds` is
    the time that a request has until its answer is due. Raises SettingsError if a variable of the
    environment can't be used to get there.
    """

    def __init__(self, url: str, on_change: Callable[[], None], request_seconds: float) -> None:
        self.url = url
        self.hits = 0
        """How often a key was in the cache when it was needed."""
        self.misses = 0
        """How often it was not."""
        self._on_change = on_change
        self._egress = egress_to(url)
        self._keys: dict[str, PyJWK] = {}
        """By key id."""
        self._served_set: object = None
        """The last set that was read, as it was served."""
        self._failure = ""
        """Why the last fetch has failed; empty if it has not."""
        # All times are the event loop's.
        self._last_finished_fetch_began_at = -math.inf
        """Before all else if no fetch has ended yet."""
        self._pause_ends_at = -math.inf
        self._pause_max = min(PAUSE_MAX, PAUSE_SHARE * request_seconds)
        self._waiting = 0
        """How many requests wait for a fetch."""
        self._task: asyncio.Task[None] | None = None
        self._fetch_wanted = asyncio.Event()
        self._fetch_done = asyncio.Condition()

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id, or None if the auth server serves no such key.

        Waits for a fetch if the key is not in the cache, until the request's deadline. Raises
        KeysUnavailable, with the reason for the log, if the set can't be had (R-32), and
        TooManyWaiters if it can, but not for this request (R-30).
        """
        self._start_fetching()
        if key_id in self._keys:
            self.hits += 1
            return self._keys[key_id]
        self.misses += 1
        asked_at = asyncio.get_running_loop().time()
        self._take_place()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline()):
                    await self._wait_for_newer_set(key_id, asked_at)
        finally:
            self._waiting -= 1
        if key_id in self._keys:
            return self._keys[key_id]
        if self._failure:
            raise KeysUnavailable(reason=self._failure)
        timed_out = self._last_finished_fetch_began_at < asked_at
        if timed_out:
            raise KeysUnavailable(
                reason=f"an unknown kid, and no newer keys from {self.url} in time"
            )
        return None

    def _take_place(self) -> None:
        """Count a request that waits; raises KeysUnavailable or TooManyWaiters if too many do."""
        # Before the first fetch has ended all may wait: each of their keys may be in its set.
        has_fetched = self._last_finished_fetch_began_at > -math.inf
        if self._waiting >= WAITERS_MAX and has_fetched:
            if self._failure:
                raise KeysUnavailable(reason=self._failure)
            raise TooManyWaiters(f"{WAITERS_MAX} requests wait for newer keys already")
        self._waiting += 1

    def _start_fetching(self) -> None:
        """Start the task that fetches, if it does not run."""
        if self._task and not self._task.done():
            return
        # If the task is done, its event loop has ended, and this is another one, as in a test. What
        # was waited for in that loop can't be waited for in this one.
        self._fetch_wanted = asyncio.Event()
        self._fetch_done = asyncio.Condition()
        self._task = asyncio.create_task(self._keep_fetching())

    async def _wait_for_newer_set(self, key_id: str, asked_at: float) -> None:
        """Wait for the key, or for the end of a fetch that began after `asked_at`."""
        async with self._fetch_done:
            while key_id not in self._keys and self._last_finished_fetch_began_at < asked_at:
                self._fetch_wanted.set()
                await self._fetch_done.wait()

    async def _keep_fetching(self) -> None:
        """Fetch now, and again when a request asks for it or REFRESH is over."""
        now = asyncio.get_running_loop().time
        pause = PAUSE_MIN
        while True:
            ids_before = set(self._keys)
            began_at = now()
            # Without a request, REFRESH passes: so a fetch soon after the last pause was asked for.
            began_soon_after_pause = began_at - self._pause_ends_at < self._pause_max
            await self._fetch()
            brought_a_new_key = bool(set(self._keys) - ids_before)
            if began_soon_after_pause and not brought_a_new_key:
                pause = min(pause * 2, self._pause_max)
            else:
                pause = PAUSE_MIN
            # From the start of this fetch, so that a slow one does not make the wait longer; and
            # PAUSE_MIN from its end at least.
            self._pause_ends_at = max(began_at + pause, now() + PAUSE_MIN)
            self._last_finished_fetch_began_at = began_at
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
        """Take over the set that is served now, whichever keys it has (R-31)."""
        document = json.loads(await self._download())
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise BadKeySet("not a key set (RFC 7517, 5)")
        served_set = document["keys"]
        if served_set == self._served_set:
            return
        self._keys = _usable_keys(served_set)
        self._served_set = served_set
        self._on_change()
        if not self._keys:
            _log.warning("%s", f"no usable key at {self.url}"[:REASON_MAX])

    async def _download(self) -> bytes:
        """The body at the URL; raises BadKeySet, and httpx's errors."""
        body = bytearray()
        # A compressed body could be far larger than SET_MAX.
        headers = {"Accept-Encoding": "identity"}
        async with (
            asyncio.timeout(FETCH_WITHIN),
            httpx.AsyncClient(
                headers=headers, verify=self._egress.tls, proxy=self._egress.proxy, trust_env=False
            ) as client,
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


def _usable_keys(served_set: list[Any]) -> dict[str, PyJWK]:
    """The keys of a served set that may verify tokens, by key id."""
    keys: dict[str, PyJWK] = {}
    for jwk in served_set:
        # A JWK that is malformed must not cost the others. PyJWT raises errors of Python's own too.
        with suppress(Exception):
            key = PyJWK(jwk)
            if key.algorithm_name in ALGORITHMS and key.key_id and _may_verify(jwk):
                keys[key.key_id] = key
    return keys


def _may_verify(jwk: Mapping[str, Any]) -> bool:
    """Whether a key may verify; most say nothing of their use (RFC 7517, 4.2 and 4.3)."""
    use = jwk.get("use", "sig")
    operations = jwk.get("key_ops", ["verify"])
    return use == "sig" and isinstance(operations, list) and "verify" in operations
