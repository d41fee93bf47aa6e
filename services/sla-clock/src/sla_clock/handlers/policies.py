"""Puts policies in force."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chassis import telemetry
from chassis.db import Tx
from chassis.errors import InvalidInput
from sla_clock.handlers.works import Works
from sla_clock.metrics import POLICY, POLICY_FILE_BAD
from sla_clock.policy import Policy
from sla_clock.policyfile import load
from sla_clock.store import policies
from sla_clock.store.policies import StoredPolicy
from sla_clock.store.recalculations import begin_recalculation
from tickdesk.sla.v1.events_pb2 import PolicyApplied

log = telemetry.logger(__name__)


async def apply_policy(works: Works, tx: Tx, text: str, *, origin: str = "api") -> tuple[str, int]:
    """Check a policy and put it in force; its name and version. The one in force already stays as it is.

    Raises InvalidInput with a violation for each fault; then nothing changes.
    """
    policy = await check_policy(text)
    return await put_in_force(works, tx, policy.name, text, origin=origin)


async def put_in_force(works: Works, tx: Tx, name: str, text: str, *, origin: str = "api") -> tuple[str, int]:
    """Put a policy in force that was read and found good; its name and version.

    The one in force already stays as it is.
    """
    await policies.lock_policies(tx)
    version = await policies.policy_version(tx)
    if version and (await policies.find_policy(tx, version)).yaml == text:
        return name, version
    await policies.add_policy(tx, StoredPolicy(version + 1, name, text, origin, tx.now))
    await begin_recalculation(tx, name, version + 1, works.data, "policy")
    tx.emit(PolicyApplied(name=name, version=version + 1), key=name)
    tx.after_commit(works.policy_changed.set)
    POLICY.set(version + 1)
    return name, version + 1


async def check_policy(text: str, file: str = "policy.yaml") -> Policy:
    """Read a policy. Raises InvalidInput with a violation for each fault."""
    return await asyncio.to_thread(load, text, file=file)


async def seed(works: Works, path: Path | None) -> None:
    """Put the policy file in force unless its text was the last one that came from the file.

    A bad file is told and leaves the policy in force alone; without one to keep, it is raised.
    """
    async with works.db.tx() as tx:
        version = await policies.policy_version(tx)
        known = await policies.newest_policy(tx, "file")
        POLICY.set(version)
        if path is None:
            if not version:
                log.warning("no policy is in force: set policy_path or apply one, no ticket has a target")
            return
        try:
            text = await asyncio.to_thread(path.read_text, encoding="utf-8")
            if known is None or known.yaml != text:
                await check_policy(text, file=path.name)
                name, number = await apply_policy(works, tx, text, origin="file")
                log.info("policy applied", policy=name, version=number)
            POLICY_FILE_BAD.set(0)
        except (InvalidInput, OSError, UnicodeDecodeError) as error:
            POLICY_FILE_BAD.set(1)
            if not version:
                raise RuntimeError(f"policy_path {path} cannot be used:\n{error}") from error
            log.error("policy file refused, the policy in force stays", version=version, faults=str(error))
