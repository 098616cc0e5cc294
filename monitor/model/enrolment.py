"""What an agent shows when it offers a public key: that it has the private one, for this enrolment alone."""

from __future__ import annotations

from monitor.model import jws
from monitor.model.jws import SignatureError
from monitor.model.suite import PrivateKey, PublicKey

POSSESSION = "cradlewatch-possession"
"""The type in the header of the proof."""


def plain_code(text: str) -> str:
    """Return a typed code as it is hashed and signed: upper case, no hyphens or spaces."""
    return "".join(text.upper().replace("-", "").split())


def prove_possession(key: PrivateKey, bound_to: str) -> str:
    """Return the proof: a signature over `bound_to`, which is the code as typed without its hyphens, or the agent's name."""
    return jws.sign({"typ": POSSESSION, "kid": key.public.id}, bound_to.encode(), key).decode("ascii")


def proves_possession(proof: str, key: PublicKey, bound_to: str) -> bool:
    """Tell whether whoever made the proof has the private key."""
    if not proof.isascii():
        return False
    try:
        signed = jws.read(proof.encode("ascii"), bound_to.encode())
        signed.verify(key)
    except SignatureError:
        return False
    return signed.header.get("typ") == POSSESSION and signed.header.get("kid") == key.id
