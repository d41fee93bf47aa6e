"""Very many marks at one instant, as every morning's opening; the peers in turns with ours."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.clock import peers
from bench.clock.marks import fire
from bench.clock.peers import PEERS, CutOff, Peer
from bench.clock.plan import Figures, Plan, repeat, say, summed
from bench.clock.site import Site, a_site
from bench.clock.tickets import Tickets

_HAND_OVER_SECONDS = 60
_LONG = 5
_SPACING = 0


async def measure(plan: Plan) -> dict[str, Any]:
    """Each size: round after round, ours first, then each peer that is to stand beside it."""
    async with a_site() as site:
        tickets = await Tickets.of(site)
        await tickets.keep(1_000)
        await fire(site, tickets, 1_000, _SPACING)
        ready, skipped = await peers.available(PEERS if plan.beside else ())
        sizes = {str(count): await _size(site, tickets, plan, count, ready) for count in plan.bursts}
    return {
        "sizes": sizes,
        "skipped": skipped,
        "versions": peers.versions(),
        "promises": {"ours": peers.OURS, **{peer.name: peer.promises for peer in PEERS}},
    }


async def _size(site: Site, tickets: Tickets, plan: Plan, count: int, ready: list[Peer]) -> dict[str, Any]:
    ours = partial(fire, site, tickets, count, _SPACING)
    if count not in plan.beside:
        return {"ours": await repeat(plan.rounds, f"{count} at once", ours)}
    runs: dict[str, list[Figures]] = {"ours": []}
    cut: dict[str, str] = {}
    for number in range(plan.rounds):
        runs["ours"].append(await ours())
        _tell("ours", count, number, runs["ours"][-1])
        for peer in ready:
            if peer.name in cut or number >= _rounds(peer, count, plan):
                continue
            try:
                run = await _beside(site, peer, count, plan)
                runs.setdefault(peer.name, []).append(run)
                _tell(peer.name, count, number, run)
            except CutOff as error:
                cut[peer.name] = str(error)
                say(f"{count} at once, {peer.name}: {error}")
    return {
        **{name: summed(each) for name, each in runs.items()},
        "cut_off": cut,
        "cut_off_after": plan.cut_off,
    }


def _rounds(peer: Peer, count: int, plan: Plan) -> int:
    """Fewer for what takes long to hand over; the page tells how many there were."""
    seconds = count / peer.pace
    return plan.rounds if seconds < _LONG else plan.slow_rounds if seconds < 3 * _LONG else 1


async def _beside(site: Site, peer: Peer, count: int, plan: Plan) -> Figures:
    if count / peer.pace > _HAND_OVER_SECONDS:
        raise CutOff(
            f"not run: it takes {peer.pace} jobs a second or few more, so minutes before the instant"
        )
    return await peers.run(site, peer, count, plan.cut_off)


def _tell(name: str, count: int, number: int, run: Figures) -> None:
    say(f"{count} at once, round {number + 1}, {name}: {run['seconds']:.3f} s, p99 {run['p99']:.3f} s")
