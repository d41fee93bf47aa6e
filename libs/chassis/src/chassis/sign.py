"""Short signatures for links, reply addresses and webhooks: HMAC-SHA256 in lower-case base32."""

import base64
import hashlib
import hmac

_MIN_SIZE = 16


def sign(key: str, purpose: str, *parts: str | bytes | int, size: int = 26) -> str:
    """Return `size` base32 characters (5 bits each) over the purpose and the parts.

    `key` may hold several keys as `"new,old"`: the first one signs. Raises ValueError for an empty key.
    """
    return _digest(_keys(key)[0], purpose, parts, size)


def verify(key: str, purpose: str, *parts: str | bytes | int, signature: str, size: int = 26) -> bool:
    """Tell whether any of the keys made this signature; an empty or shorter one never matches."""
    given = signature.lower().encode()
    matches = [hmac.compare_digest(_digest(one, purpose, parts, size).encode(), given) for one in _keys(key)]
    return any(matches)


def _keys(key: str) -> list[str]:
    keys = [one.strip() for one in key.split(",") if one.strip()]
    if not keys:
        raise ValueError("a signing key is needed")
    return keys


def _digest(key: str, purpose: str, parts: tuple[str | bytes | int, ...], size: int) -> str:
    if not _MIN_SIZE <= size <= 52:
        raise ValueError(f"size must be {_MIN_SIZE} to 52 characters")
    mac = hmac.new(key.encode(), digestmod=hashlib.sha256)
    for part in (purpose, *parts):
        raw = part if isinstance(part, bytes) else str(part).encode()
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        mac.update(len(raw).to_bytes(4, "big") + raw)
    return base64.b32encode(mac.digest()).decode().lower().rstrip("=")[:size]
