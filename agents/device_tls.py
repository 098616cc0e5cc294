"""TLS to devices that sign their own certificates, over whatever protocol: the pin is what protects."""

from __future__ import annotations

import ssl


def device_tls(*, old: bool = False) -> ssl.SSLContext:
    """Return a fresh context that takes any certificate, short keys and ciphers with SHA-1; TLS 1.0 and 1.1 only when `old`.

    No authority can vouch for a recorder or a camera. Who asks compares the certificate with the one that was seen first.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED if old else ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def hint(*, old: bool) -> str:
    """Return what helps where TLS could not be agreed on, beside a wrong port; nothing where it was tried."""
    return (
        "" if old else ", or set `old_tls: true` for its recorder if the device is an old one that knows TLS 1.0 only"
    )
