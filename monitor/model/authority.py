"""A certificate that an agent pins, and the fingerprint by which a person passes it on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True)
class Authority:
    """One certificate: of an authority, or of a server that signed its own."""

    pem: str
    fingerprint: str
    """sha256:HEX of its DER bytes, as `openssl x509 -fingerprint -sha256` prints it without the colons."""


def read_authority(data: bytes) -> Authority:
    """Read the first certificate of a PEM file. Raises ValueError with a sentence."""
    found = _PEM.search(data)
    try:
        certificate = x509.load_pem_x509_certificate(found[0]) if found else None
    except ValueError:
        certificate = None
    if certificate is None:
        raise ValueError("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    if not _signs_others(certificate) and certificate.issuer != certificate.subject:
        raise ValueError(
            "begins with a server's certificate, which another one signed: name that one, since what agents pin has to outlive"
            " the next renewal"
        )
    pem = certificate.public_bytes(Encoding.PEM).decode("ascii")
    return Authority(pem, f"sha256:{certificate.fingerprint(hashes.SHA256()).hex()}")


def _signs_others(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.UnsupportedGeneralNameType:
        return True  # for all that can be told: a name of a form that hardly anybody uses is in the way
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def plain_fingerprint(text: str) -> str:
    """Return a typed fingerprint as sha256:HEX: colons, spaces and capitals are as people write them. Raises ValueError."""
    head, _, rest = text.strip().lower().partition(":")
    found = _FINGERPRINT.fullmatch(re.sub(r"[\s:]", "", rest if head == "sha256" else text.strip().lower()))
    if found is None:
        raise ValueError("is no SHA-256 fingerprint: write its 64 hexadecimal digits")
    return f"sha256:{found[1]}"
