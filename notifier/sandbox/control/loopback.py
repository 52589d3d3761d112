"""Loopback: the only addresses that the stand-in calls by itself."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Plain http to this machine, without a user, and with no character that could be read in two ways."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        plain = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>')
        if parts.scheme != "http" or "@" in parts.netloc or not plain:
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # no address, or a port that is none
        return False
