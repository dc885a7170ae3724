"""Signs tokens of any shape, right and wrong ones (RFC 7515, RFC 7519). Pure.

Shares no code with JWT libraries, so that it can break their rules; key and time are passed in.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encode_segment(content: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode_segment(segment: str) -> bytes:
    """Return what a base64url segment holds; padding is filled in."""
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def sign(
    header: Mapping[str, Any] | bytes,
    claims: Mapping[str, Any] | bytes,
    key: bytes,
    algorithm: str = "HS256",
) -> str:
    """Return a compact token. `algorithm` is what is computed; the header may say another.

    With algorithm `none` the signature is empty.
    """
    signed = f"{_segment(header)}.{_segment(claims)}"
    if algorithm.lower() == "none":
        return f"{signed}."
    return f"{signed}.{encode_segment(signature(signed.encode(), key, algorithm))}"


def signature(content: bytes, key: bytes, algorithm: str) -> bytes:
    """Return the HMAC of the JWS signing input (RFC 7518 section 3.2)."""
    return hmac.new(key, content, _HASHES[algorithm]).digest()


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token, unverified.

    Raises:
        ValueError: not a compact JWT.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError(f"a compact JWT has three parts; this has {len(parts)}")
    return json.loads(decode_segment(parts[0])), json.loads(decode_segment(parts[1]))


def _segment(content: Mapping[str, Any] | bytes) -> str:
    if isinstance(content, bytes):
        return encode_segment(content)
    return encode_segment(json.dumps(content, separators=(",", ":")).encode())
