"""The environment's variables for proxies and certificates, for requests to the auth server.

They are read once, at the start, and SettingsError names one that is wrong. httpx would read them
anew for each fetch, so a wrong one would make every fetch fail, and the start would not tell.
"""

import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx

from app.core.settings import SettingsError, is_loopback


@dataclass(frozen=True)
class Egress:
    """How to get to a URL: which certificates are trusted, and by which proxy, if any."""

    tls: ssl.SSLContext
    proxy: httpx.Proxy | None


def egress_to(url: str) -> Egress:
    """Return how to get to a URL; raises SettingsError for a variable that can't be used.

    The proxy is `https_proxy` or `http_proxy`, by the URL's scheme, or else `all_proxy`, each also
    in capitals; not for this machine, and not for a host that `no_proxy` names.
    """
    target = httpx.URL(url)
    tls = _tls()
    # A plain http:// URL of this machine is allowed in production, because nobody on the way can
    # change what is fetched from there. A proxy could, so none is used.
    if is_loopback(target.raw_host.decode()) or _is_exempt(target):
        return Egress(tls, proxy=None)
    for name in (f"{target.scheme}_proxy", "all_proxy"):
        variable, value = _variable(name)
        if value:
            return Egress(tls, _proxy(variable, value, tls))
    return Egress(tls, proxy=None)


def _variable(name: str) -> tuple[str, str]:
    """The name and the value of a variable that may be written in small letters or in capitals."""
    variable = name if name in os.environ else name.upper()
    return variable, os.environ.get(variable, "").strip()


def _is_exempt(target: httpx.URL) -> bool:
    """Whether `no_proxy` names the host, by its name, a domain, an address, a network or `*`."""
    host = target.raw_host.decode()
    port = target.port or {"http": 80, "https": 443}[target.scheme]
    _, no_proxy = _variable("no_proxy")
    for entry in no_proxy.lower().split(","):
        name = entry.strip()
        if _names(name, host) or _names(name.removesuffix(f":{port}"), host):
            return True
    return False


def _names(name: str, host: str) -> bool:
    if name == "*":
        return True
    try:
        return ip_address(host) in ip_network(name.strip("[]"), strict=False)
    except ValueError:  # one of them is no address
        domain = name.removeprefix("*").removeprefix(".")
        return domain != "" and f".{host}".endswith(f".{domain}")


def _proxy(variable: str, value: str, tls: ssl.SSLContext) -> httpx.Proxy:
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
    except httpx.InvalidURL:
        raise SettingsError(f"{variable} must be the URL of a proxy") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"{variable} must be the URL of a proxy, http:// or https://")
    return httpx.Proxy(url, ssl_context=tls if url.scheme == "https" else None)


def _tls() -> ssl.SSLContext:
    """The authorities in SSL_CERT_FILE, or in SSL_CERT_DIR, or those that come with httpx."""
    folders = os.environ.get("SSL_CERT_DIR")
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        # OpenSSL would trust nobody, and say nothing
        raise SettingsError("SSL_CERT_DIR is not a folder")
    try:
        return httpx.create_ssl_context()
    except OSError as failure:  # ssl.SSLError is one
        # It opens two files: the certificates, and SSLKEYLOGFILE. If the first is good it was the
        # second.
        file = os.environ.get("SSL_CERT_FILE")
        variable = "SSL_CERT_FILE" if file and not _has_certificates(file) else "SSLKEYLOGFILE"
        why = failure.strerror or type(failure).__name__
        raise SettingsError(f"{variable} can't be used: {why}") from None


def _has_certificates(file: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError:
        return False
    return True
