"""Checks of the way to Feishu: proxy, DNS, TLS, connection and clock."""

import asyncio
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from notifier import USER_AGENT
from notifier.clock import Clock, to_millis
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.feishu.api import is_loopback
from notifier.operations.doctor.findings import Finding, blocked, ok, problem, unknown

NETWORK_IDS = ("network.proxy", "network.dns", "network.tls", "network.connection", "clock")
MAX_SKEW_MS = 60_000
"""Signatures of the webhook and of payout reports allow 5 minutes."""


async def examine_network(config: Config, clock: Clock) -> list[Finding]:
    """Make one request to Feishu, as the calls of the service do, and name the first step that fails."""
    try:
        proxy = find_proxy(config.feishu.base_url)
    except ValueError as error:
        return [_explain_bad_proxy(str(error)), *(blocked(each, "network.proxy") for each in NETWORK_IDS[1:])]
    timeout = aiohttp.ClientTimeout(total=config.feishu.timeout_seconds)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout,
                headers={"User-Agent": USER_AGENT},
                trust_env=not is_loopback(config.feishu.base_url),
            ) as session,
            session.head(f"{config.feishu.base_url}/", allow_redirects=False) as response,
        ):
            date = response.headers.get("Date", "")
    except aiohttp.ClientProxyConnectionError:
        return _stop_at("network.proxy", _explain_proxy(proxy), config, proxy)
    except aiohttp.ClientConnectorDNSError:
        return _stop_at("network.dns", _explain_dns(config), config, proxy)
    except aiohttp.ClientSSLError as error:
        return _stop_at("network.tls", _explain_tls(config, error), config, proxy)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return _stop_at("network.connection", _explain_connection(config, error), config, proxy, unproven=1)
    return [*_passed(config, proxy), _examine_clock(date, clock)]


def find_proxy(base_url: str) -> str | None:
    """Return host and port of the proxy that calls to this address use; None for a direct way. Without credentials.

    Raises ValueError with the name of a variable whose value is no address.
    """
    parts = urlsplit(base_url)
    if is_loopback(base_url) or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    name = parts.scheme if proxies.get(parts.scheme) else "all"
    address = proxies.get(name)
    if not address:
        return None
    try:
        split = urlsplit(address)
        host, port = split.hostname, split.port or 80
    except ValueError:
        host, port = None, 0
    if not host:
        raise ValueError(f"{name}_proxy".upper())
    return f"{host}:{port}"


def _passed(config: Config, proxy: str | None) -> list[Finding]:
    host = urlsplit(config.feishu.base_url).hostname or ""
    is_plain = config.feishu.base_url.startswith("http://")
    return [
        _describe_proxy(config, proxy),
        ok("network.dns", f"域名解析 {host}", f"DNS knows {host}")
        if proxy is None
        else ok("network.dns", "域名由代理解析", "the proxy resolves names"),
        ok("network.tls", "本机地址，无需 TLS", "no TLS on this machine")
        if is_plain
        else ok("network.tls", "TLS 证书有效", "the TLS certificate is valid"),
        ok(
            "network.connection",
            f"可以访问 {config.feishu.base_url}",
            f"{config.feishu.base_url} answers",
        ),
    ]


def _describe_proxy(config: Config, proxy: str | None) -> Finding:
    if proxy is None:
        return ok("network.proxy", "不使用代理", "no proxy")
    if config.feishu.transport is Transport.LONG_CONNECTION:
        return ok(
            "network.proxy",
            f"接口请求经代理 {proxy}；长连接不走代理，需直连",
            f"calls go through the proxy {proxy}; the long connection does not use it and needs a direct way",
        )
    return ok("network.proxy", f"接口请求经代理 {proxy}", f"calls go through the proxy {proxy}")


def _stop_at(
    failed: str, finding: Finding, config: Config, proxy: str | None, *, unproven: int = 0
) -> list[Finding]:
    """The steps before the failed one are good; those after it are not examined.

    unproven: so many steps before it are not proven either, because the failure may have come first.
    """
    passed = {each.id: each for each in _passed(config, proxy)}
    place = NETWORK_IDS.index(failed)
    return [
        *(passed[each] for each in NETWORK_IDS[: place - unproven]),
        *(blocked(each, failed) for each in NETWORK_IDS[place - unproven : place]),
        finding,
        *(blocked(each, failed) for each in NETWORK_IDS[place + 1 :]),
    ]


def _explain_bad_proxy(variable: str) -> Finding:
    return problem(
        "network.proxy",
        f"环境变量 {variable} 不是有效的代理地址",
        f"the environment variable {variable} is no address of a proxy",
        Bilingual(
            zh=f"把 {variable} 改为 http://主机:端口，或取消设置",
            en=f"write {variable} as http://HOST:PORT, or unset it",
        ),
    )


def _explain_proxy(proxy: str | None) -> Finding:
    return problem(
        "network.proxy",
        f"代理 {proxy} 无法连接",
        f"the proxy {proxy} cannot be reached",
        Bilingual(
            zh="修正 HTTPS_PROXY，或把飞书域名加入 NO_PROXY",
            en="correct HTTPS_PROXY, or add Feishu's domain to NO_PROXY",
        ),
    )


def _explain_dns(config: Config) -> Finding:
    host = urlsplit(config.feishu.base_url).hostname
    return problem(
        "network.dns",
        f"域名 {host} 无法解析",
        f"DNS does not know {host}",
        Bilingual(
            zh="检查本机 DNS（/etc/resolv.conf）和 feishu.base_url",
            en="check the DNS of this machine (/etc/resolv.conf) and feishu.base_url",
        ),
    )


def _explain_tls(config: Config, error: Exception) -> Finding:
    host, reason = urlsplit(config.feishu.base_url).hostname, type(error).__name__
    return problem(
        "network.tls",
        f"{host} 的 TLS 证书未通过验证（{reason}）",
        f"the TLS certificate of {host} is not accepted ({reason})",
        Bilingual(
            zh="检查本机时间；如公司代理替换证书，请安装其根证书（SSL_CERT_FILE）",
            en="check the clock; if a company proxy replaces certificates, install its root (SSL_CERT_FILE)",
        ),
    )


def _explain_connection(config: Config, error: Exception) -> Finding:
    url, reason = config.feishu.base_url, type(error).__name__
    return problem(
        "network.connection",
        f"无法访问 {url}（{reason}）",
        f"{url} does not answer ({reason})",
        Bilingual(
            zh="检查防火墙、代理和 feishu.base_url", en="check the firewall, the proxy and feishu.base_url"
        ),
    )


def _examine_clock(date: str, clock: Clock) -> Finding:
    """Compare our clock with the header Date of Feishu's answer."""
    try:
        served_at = to_millis(parsedate_to_datetime(date))
    except (ValueError, TypeError):
        return unknown("clock", "时钟：飞书的响应没有时间", "clock: Feishu's answer names no time")
    skew = to_millis(clock.now()) - served_at
    seconds = f"{abs(skew) / 1000:.0f}"
    zh = f"本机时钟比飞书{'快' if skew > 0 else '慢'} {seconds} 秒"
    en = f"the clock of this machine is {seconds} s {'ahead of' if skew > 0 else 'behind'} Feishu"
    if abs(skew) <= MAX_SKEW_MS:
        return ok("clock", zh, en)
    return problem(
        "clock", zh, en, Bilingual(zh="校准本机时钟，最好启用 NTP", en="set the clock, best by NTP")
    )


async def find_direct_way(url: str, seconds: float) -> str | None:
    """Try a direct TCP connection to the host of an address, without a proxy. Return the problem; None: it works."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme in {"wss", "https"} else 80)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        return f"{parts.hostname}:{port}: {type(error).__name__}"
    writer.close()
    return None
