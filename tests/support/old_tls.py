"""The TLS of old recorders and cameras, which today's defaults refuse."""

import ssl

import pytest

OLD = ("TLS 1.0", "SHA-1")


def grown_old(context: ssl.SSLContext, how: str) -> ssl.SSLContext:
    """Let a server speak TLS 1.0 alone, or TLS 1.2 with a cipher of its time."""
    context.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1
    if how != "TLS 1.0":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
