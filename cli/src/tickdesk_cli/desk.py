"""A desk on one machine: its folder, its servers, its services, from nothing to ready and back."""

import asyncio
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from chassis.servers import Servers, free_port, is_free
from tickdesk_cli.client import Client
from tickdesk_cli.process import Process
from tickdesk_cli.terminal import Problem, bad_input
from tickdesk_cli.wiring import MODULES, PORTS, SERVICES, Wires, environment

_LOCK_SECONDS = 120


def default_folder() -> Path:
    """$TICKDESK_HOME, or `.tickdesk` where the command is run."""
    return Path(os.environ.get("TICKDESK_HOME") or ".tickdesk")


class Desk:
    """A desk under one folder. `settings` are variables for its services, over those of `desk.env`.

    With `detached` everything outlives this process, else it ends with it."""

    def __init__(
        self, folder: Path | None = None, *, detached: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = (folder or default_folder()).resolve()
        self.detached = detached
        self.servers = Servers(self.folder / "servers", durable=True, detached=detached)
        self._settings = dict(settings or {})
        self._services: dict[str, Process] = {}
        self._secrets: dict[str, Any] = {}

    @property
    def exists(self) -> bool:
        """True when the folder holds a desk, running or not."""
        # Unlike Path.exists this one is silent about a folder that may not be entered.
        return os.path.exists(self.folder / "desk.json")

    @property
    def ports(self) -> dict[str, int]:
        """Every port of the services by `service.use`, as in `intake.lmtp`."""
        ports: dict[str, int] = self._read("desk.json").get("ports", {})
        return ports

    @property
    def addresses(self) -> dict[str, str]:
        """`host:port` of each service's gRPC."""
        return {name: f"127.0.0.1:{self.ports[f'{name}.grpc']}" for name in SERVICES}

    @property
    def token(self) -> str:
        """The token of `admin:desk`, who may do everything."""
        return self.tokens["admin:desk"]

    @property
    def token_file(self) -> Path:
        """The file that holds `token` and nothing else."""
        return self.folder / "token"

    @property
    def tokens(self) -> dict[str, str]:
        """Token by principal: the administrator, each service, each agent of the first set-up."""
        tokens: dict[str, str] = self._keys()["tokens"]
        return tokens

    @property
    def services(self) -> list[Process]:
        """The five services, in the order they are started."""
        return [self.service(name) for name in SERVICES]

    def service(self, name: str) -> Process:
        """One service, to ask, start, stop or kill."""
        if name not in self._services:
            values = environment(name, self._wires())
            self._services[name] = Process(
                name, MODULES[name], self.folder, values, self.ports[f"{name}.ops"], self.detached
            )
        return self._services[name]

    def client(self, principal: str = "admin:desk") -> Client:
        """A client of all services, as the administrator or somebody else who has a token."""
        return Client(self.addresses, self.tokens[principal])

    def require(self) -> None:
        """Raise Problem unless there is a desk here."""
        if not self.exists:
            raise bad_input(
                f"{self.folder}: no desk in this folder",
                "`tickdesk up` makes one; --folder names another one.",
            )

    async def start(self, say: Callable[[str], None] = lambda _: None, agents: tuple[str, ...] = ()) -> None:
        """Start what does not run, from the servers to the last service, and wait until all is ready.

        A new folder is set up first; `agents` get tokens then. When it fails and nothing ran before,
        nothing stays running."""
        self._prepare(agents)
        with self._locked():
            fresh = not self.servers.running
            try:
                await self._start(say)
            except BaseException:
                if fresh:
                    await self._stop(say)
                raise

    async def _start(self, say: Callable[[str], None]) -> None:
        # What makes tables takes long to import, and only a start needs it.
        from tickdesk_cli import databases  # noqa: PLC0415

        say("starting PostgreSQL, NATS and Valkey")
        self.servers.start()
        await databases.create(self.servers.postgres.url, MODULES.values())
        # Services wait for their schema by themselves, so they may load while it is made.
        self._move_ports()
        for each in self.services:
            each.start()
        say("bringing the databases up to date")
        for name in SERVICES:
            await databases.bring_up_to_date(self.database(name), MODULES[name])
        if (self.folder / "mail.port").exists():
            self._mail().start()
        for each in self.services:
            say(f"waiting for {each.name}")
            await each.ready()

    async def keep_mail(self, port: int) -> None:
        """Leave a mail server on this port that stores what the desk sends under `letters`."""
        self._write("mail.port", str(port))
        self._mail().start()

    async def stop(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Stop the services gracefully, then the servers. The data stays."""
        if not self.exists:
            return
        with self._locked():
            await self._stop(say)

    async def _stop(self, say: Callable[[str], None]) -> None:
        say("stopping the services")
        await asyncio.gather(*(each.stop() for each in (*self.services, self._mail())))
        say("stopping PostgreSQL, NATS and Valkey")
        self.servers.stop()

    def database(self, name: str) -> str:
        """URL of a service's database."""
        return self.servers.postgres.url.rpartition("/")[0] + f"/{MODULES[name]}"

    def setting(self, service: str, field: str) -> str:
        """A setting as the service gets it; "" when it is left at its default."""
        return self.service(service).environment.get(
            f"TICKDESK_{MODULES[service].upper()}_{field.upper()}", ""
        )

    def _mail(self) -> Process:
        port = self.folder / "mail.port"
        arguments = (port.read_text(encoding="utf-8"), str(self.folder / "letters")) if port.exists() else ()
        return Process("mail", "tickdesk_cli.catcher", self.folder, {}, 0, arguments=arguments)

    def adopt_policy(self, source: Path) -> None:
        """Copy a policy into the folder, unless the desk has one; sla-clock puts `policy.yaml` in force."""
        self._prepare_folder()
        if not (self.folder / "policy.yaml").exists():
            self._write("policy.yaml", source.read_text(encoding="utf-8"))

    def configure(self, settings: Mapping[str, str]) -> None:
        """Put settings into the desk's own `desk.env`, where every later command finds them."""
        self._prepare_folder()
        self._write("desk.env", "".join(f"{name}={value}\n" for name, value in settings.items()))

    def _prepare(self, agents: tuple[str, ...]) -> None:
        """Make the folder, the secrets and the ports once; a second call changes nothing."""
        self._prepare_folder()
        try:
            if not (self.folder / "secrets.json").exists():
                self._write("secrets.json", json.dumps(_new_secrets(agents), indent=2))
            if not self.token_file.exists():
                self._write("token", self.token + "\n")
            if not self.exists:
                self._write("desk.json", json.dumps({"ports": dict.fromkeys(PORTS, 0)}, indent=2))
        except OSError as error:
            raise bad_input(
                f"{self.folder}: {error.strerror}", "Choose a folder you may write, with --folder."
            ) from error

    def _prepare_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise bad_input(
                f"{self.folder}: {error.strerror}", "Choose a folder you may write, with --folder."
            ) from error

    def _move_ports(self) -> None:
        """Keep each service's ports unless somebody else listens there now."""
        ports, taken = self.ports, set[int]()
        for name in SERVICES:
            mine = [key for key in PORTS if key.partition(".")[0] == name]
            running = all(ports[key] for key in mine) and self.service(name).pid
            for key in mine:
                if not running and (not ports[key] or not is_free(ports[key])):
                    ports[key] = _fresh(taken)
                taken.add(ports[key])
        self._write("desk.json", json.dumps({"ports": ports}, indent=2))
        self._services.clear()

    def _wires(self) -> Wires:
        if not self.servers.valkey.port:
            # Not started by this process: learn ports and passwords that an earlier one left.
            _ = self.servers.running
        return Wires(
            folder=self.folder,
            ports=self.ports,
            tokens=self.tokens,
            keys=self._keys()["keys"],
            databases={name: self.database(name) for name in SERVICES},
            nats_url=self.servers.nats.url,
            valkey_url=self.servers.valkey.url,
            given={**_env_file(self.folder / "desk.env"), **self._settings},
        )

    def _keys(self) -> dict[str, Any]:
        if not self._secrets:
            self._secrets = self._read("secrets.json")
        return self._secrets

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Problem(f"{self.folder / name}: {error}", "Is this the folder of a desk?") from error
        return content

    def _write(self, name: str, text: str) -> None:
        draft = self.folder / f"{name}.draft"
        with open(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        draft.replace(self.folder / name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up` or `down` at a time; a second one waits for the first."""
        with (self.folder / "lock").open("a") as file:
            _lock(file.fileno())
            yield


def directions(desk: Desk) -> Table:
    """Where things are, and what to type next."""
    ports = desk.ports
    where = "" if desk.folder == default_folder().resolve() else f" --folder {desk.folder}"
    lines = [
        ("mail in", f"LMTP 127.0.0.1:{ports['intake.lmtp']}, SMTP 127.0.0.1:{ports['intake.smtp']}"),
        (
            "mail out",
            desk.setting("notifier", "smtp_url")
            or "TICKDESK_NOTIFIER_SMTP_URL is not set: see `tickdesk doctor`",
        ),
        (
            "gRPC",
            "127.0.0.1, "
            + " ".join(f"{name}:{target.rpartition(':')[2]}" for name, target in desk.addresses.items()),
        ),
        ("surveys", f"http://127.0.0.1:{ports['survey.http']}"),
        ("API token", f"in {desk.token_file} (of admin:desk)"),
        ("policy", f"{desk.folder / 'policy.yaml'}; a changed one is in force after down and up"),
        ("settings", f"{desk.folder / 'desk.env'}, lines of TICKDESK_<SERVICE>_<FIELD>=value"),
        ("next", "   ".join(f"tickdesk {each}{where}" for each in ("ingest FILE...", "status", "down"))),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(name, Text(value))
    return table


def _lock(number: int) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                raise Problem("another `tickdesk` works on this folder", "Wait for it to end.") from None
            time.sleep(0.1)


def _new_secrets(agents: tuple[str, ...]) -> dict[str, Any]:
    names = ["admin:desk", "service:sla-clock", "service:notifier", *(f"agent:{each}" for each in agents)]
    return {
        "tokens": {name: secrets.token_urlsafe(32) for name in names},
        "keys": {"reply": secrets.token_urlsafe(32)},
    }


def _fresh(taken: set[int]) -> int:
    while (port := free_port()) in taken:
        pass
    return port


def _env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines of the user's own settings; missing file: none. Raises Problem for a bad line."""
    if not path.exists():
        return {}
    values = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or not name.strip().startswith("TICKDESK_"):
            raise bad_input(f"{path}:{number}: {line[:40]!r} is not TICKDESK_<SERVICE>_<FIELD>=value")
        values[name.strip()] = value.strip()
    return values


def example(name: str) -> Path:
    """A file or folder of the repository's `examples`. Raises Problem where there are none."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / "examples" / name).exists():
            return root / "examples" / name
    raise Problem(f"examples/{name} is not here", "Run the command inside the repository.")
