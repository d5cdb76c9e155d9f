"""Encrypted connections to servers: a certificate of a known authority, for the host that was asked for."""

import ssl
from pathlib import Path


def tls_context(
    ca: Path | None, certificate: Path | None, key: Path | None, *, check_hostname: bool = True
) -> ssl.SSLContext:
    """What a client holds a server's certificate against: the authorities in `ca`, or those of the system. Its own
    certificate, with its key, is for servers that ask for one.
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = check_hostname
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
