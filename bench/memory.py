"""Resident memory of each service at rest."""

import asyncio
from pathlib import Path

from bench.desks import a_desk
from bench.report import machine, save

REST_SECONDS = 5


async def measure() -> Path:
    """Start a desk, let it rest, read the sizes."""
    about = machine()
    async with a_desk() as (desk, _):
        await asyncio.sleep(REST_SECONDS)
        sizes = {service.name: round(service.memory / 2**20, 1) for service in desk.services}
    for name, size in sizes.items():
        print(f"   {name:<10} {size:6.1f} MiB")
    return save("memory", {"unit": "MiB resident, children included", "services": sizes}, about)
