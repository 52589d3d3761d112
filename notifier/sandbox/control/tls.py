"""https on loopback: a certificate authority that lives as long as the process, and a certificate for loopback.

trustme makes them. It is an extra, because only clients that insist on https need it, and its dependency
`cryptography` is large. `openssl` as a program would need care with files of keys and is not on every machine.
"""

import ssl
from pathlib import Path

HOST_NAMES = ("localhost", "127.0.0.1", "::1")


class TlsUnavailableError(ValueError):
    """https is not possible. The text is shown to the user."""


def build_tls_context(ca_file: Path) -> ssl.SSLContext:
    """The context of a server with a new certificate. Writes the certificate of its authority for clients.

    The keys are never stored. Raises TlsUnavailableError and OSError.
    """
    try:
        import trustme  # noqa: PLC0415 - an extra, see above
    except ImportError as error:
        raise TlsUnavailableError(
            'https needs the extra "tls": pip install "referral-notifier[tls]"'
        ) from error
    authority = trustme.CA(organization_name="Feishu sandbox")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOST_NAMES).configure_cert(context)
    ca_file.write_bytes(authority.cert_pem.bytes())
    return context
