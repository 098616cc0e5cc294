"""Certificate authorities for tests, made anew each time: certificates that are checked in run out."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Authority:
    """A certificate authority of its own, and a certificate from it for who is at 127.0.0.1: a server, or a client."""

    def __init__(self, folder: Path, name: str, *, valid_from: timedelta = timedelta(days=-1)) -> None:
        """Make both, good for two days from then on (counted from now), and write them into `folder`."""
        self.since = datetime.now(UTC) + valid_from
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        ca = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate = ca.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.fingerprint = self.certificate.fingerprint(hashes.SHA256()).hex()
        own = ec.generate_private_key(ec.SECP256R1())
        host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        leaf = self._builder(x509.Name([]), own).add_extension(host, critical=True).sign(self.key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.pem)
        self.leaf, self.leaf_key = folder / f"{name}-leaf.pem", folder / f"{name}-leaf.key"
        self.leaf.write_bytes(leaf.public_bytes(Encoding.PEM))
        self.leaf_key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.leaf_key.chmod(0o600)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.leaf, self.leaf_key)

    def certificate_with(self, extension: x509.ExtensionType) -> bytes:
        """Return a certificate (PEM) from this authority, for another name, with an extension."""
        other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another")])
        made = self._builder(other, self.key).add_extension(extension, critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issued_by(self, root: Authority) -> Path:
        """Write the same authority's certificate as another one vouches for it: that of an intermediate one."""
        builder = root._builder(self.name, self.key)
        made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        path = self.file.with_name(f"{self.file.stem}-intermediate.pem")
        path.write_bytes(made.sign(root.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.since)
            .not_valid_after(self.since + timedelta(days=2))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
