"""The sections of the configuration by which a running service is observed: health, traces, log."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from notifier.config.fields import Section, SettingFault, listen_address


class HealthConfig(Section):
    """HTTP endpoint for health checks and metrics."""

    listen: str = ""

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value:
            listen_address(value)
        return value


class TracingConfig(Section):
    """Export of traces with OpenTelemetry."""

    endpoint: str = ""
    """Base address of a collector for OTLP/HTTP; empty: no traces."""

    @field_validator("endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise SettingFault(
                "must be an address of OTLP over HTTP, such as http://127.0.0.1:4318",
                "必须是 OTLP over HTTP 的网址，例如 http://127.0.0.1:4318",
            )
        _ = parts.port  # raises ValueError for an invalid port
        if parts.username or parts.password:
            raise SettingFault(
                "must be an address without a user name or password; set OTEL_EXPORTER_OTLP_HEADERS in the environment",
                "网址不能包含用户名或密码；请设置环境变量 OTEL_EXPORTER_OTLP_HEADERS",
            )
        if parts.path.rstrip("/").endswith("/v1/traces"):
            raise SettingFault(
                "must be the base address; leave out /v1/traces, which is added",
                "请填基础网址，去掉 /v1/traces，它会自动加上",
            )
        return value.rstrip("/")


class LogConfig(Section):
    """Log output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
