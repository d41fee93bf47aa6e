"""Who presents a token: a static one of the settings, an API key out of a file, or one of the OIDC issuer."""

import hashlib
import time
from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Gauge
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from chassis import telemetry
from chassis.clock import utcnow
from chassis.errors import Unauthenticated
from chassis.principal import Principal
from chassis.settings import ChassisSettings

log = telemetry.logger(__name__)

KEYS_REFUSED = Gauge(
    "tickdesk_keys_file_refused",
    "1 while the file of API keys cannot be used and the keys read before stay in force.",
)

LIVE_KEYS = 2
"""Keys of one principal that may be in force at once: the old one and the new one of a rotation."""

_TOKEN_CHARACTERS = 8192
_LOOK_SECONDS = 1.0


class Key(BaseModel):
    """An API key as its file holds it, one JSON object a line.

    The secret is 256 random bits, which nobody guesses, so a plain SHA-256 hides it well enough: slow hashes
    protect passwords that people choose, and would cost each call its time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z]+:[^\s:]{1,100}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[str, ...] = Field(min_length=1)
    expires: AwareDatetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the scopes of their key; None where only the role bounds them."""

    principal: Principal
    scopes: tuple[str, ...] | None = None

    def may(self, service: str, method: str, *, reads: bool) -> bool:
        """Whether a scope covers the method: `tickets`, `tickets.read`, a full service or method name."""
        if self.scopes is None:
            return True
        package = service.split(".")[1]
        covering = {package, service, f"{service}/{method}"} | ({f"{package}.read"} if reads else set())
        return not covering.isdisjoint(self.scopes)


class Identity:
    """Finds out who calls. Raises RuntimeError when the file of keys cannot be used at the start."""

    def __init__(self, settings: ChassisSettings) -> None:
        # Looked up by digests, which nobody can steer: the time that it takes tells nothing of a token.
        self._tokens = {
            digest(token.strip()): Caller(Principal.of(name))
            for name, secret in settings.tokens.items()
            for token in secret.get_secret_value().split(",")
            if token.strip()
        }
        self._keys = KeyFile(settings.keys_file) if settings.keys_file else None
        self._issuer = None
        if settings.oidc_issuer:
            # Signatures take a while to import, and most desks have no issuer.
            from chassis.oidc import Issuer  # noqa: PLC0415

            self._issuer = Issuer(settings)

    async def caller(self, header: str | bytes) -> Caller:
        """Who an `authorization` header names. Raises Unauthenticated, Denied, Unavailable."""
        scheme, _, token = (header if isinstance(header, str) else "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not 0 < len(token) <= _TOKEN_CHARACTERS:
            raise bad_token()
        given = digest(token)
        if given in self._tokens:
            return self._tokens[given]
        key = self._keys.find(given) if self._keys else None
        if key:
            return _holder(key)
        if self._issuer and token.count(".") == 2:
            return Caller(await self._issuer.principal(token))
        raise bad_token()


class KeyFile:
    """The keys of a file, read again when it changes; a bad file leaves the good ones in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = time.monotonic()
        self._stamp = self._see()
        try:
            self._keys = self._read()
        except (OSError, ValueError) as error:
            raise RuntimeError(f"keys_file {path}: {error}") from None

    def find(self, sha256: str) -> Key | None:
        """The key whose secret has this digest, however long it has expired."""
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._refresh()
        return self._keys.get(sha256)

    def _refresh(self) -> None:
        stamp = self._see()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = self._read()
        except (OSError, ValueError) as error:
            KEYS_REFUSED.set(1)
            log.error("the keys cannot be read again, those known stay in force", fault=str(error))
            return
        KEYS_REFUSED.set(0)
        log.info("the keys were read again", count=len(self._keys))

    def _read(self) -> Mapping[str, Key]:
        return {key.sha256: key for key in read_keys(self._path.read_text(encoding="utf-8"))}

    def _see(self) -> tuple[int, ...]:
        try:
            seen = self._path.stat()
        except OSError:
            return ()
        return seen.st_ino, seen.st_size, seen.st_mtime_ns


def read_keys(text: str) -> list[Key]:
    """The keys of a file. Raises ValueError with the line that is wrong, and never with a digest."""
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            keys.append(Key.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = "".join(f"{part}: " for part in fault["loc"])
            raise ValueError(f"line {number}: {where}{fault['msg']}") from None
    if len({key.sha256 for key in keys}) < len(keys):
        raise ValueError("two lines hold the same secret: make one key for each")
    live = Tally(key.name for key in keys if key.expires > utcnow())
    for name, count in live.items():
        if count > LIVE_KEYS:
            raise ValueError(f"{name} has {count} keys in force, at most {LIVE_KEYS}: remove the old ones")
    return keys


def digest(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def bad_token() -> Unauthenticated:
    """The refusal that tells nothing of what was wrong."""
    return Unauthenticated("send a valid token as 'authorization: Bearer <token>'", reason="BAD_TOKEN")


def _holder(key: Key) -> Caller:
    if key.expires <= utcnow():
        text = f"the key of {key.name} expired at {key.expires:%Y-%m-%d %H:%M} UTC: use the next one"
        raise Unauthenticated(text, reason="KEY_EXPIRED")
    return Caller(Principal.of(key.name), key.scopes)
