"""docs/reference/performance.md out of bench/results: what was measured, what was promised, side by side."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.clock.goals import Row, cost, rows
from bench.tickets import goals

RESULTS = Path(__file__).resolve().parent.parent / "bench" / "results"

INTRODUCTION = """# Performance
What was promised, and what was measured: of the clock by `make bench-clock`, of tickets by
`make bench-tickets`. They write `bench/results/clock.json` and `tickets.json`, which this page is made of.
Figures are medians of the runs unless a line says otherwise. A mark's lateness is from its own instant to
the instant at which the stream stored its event.
"""
TICKETS = """One caller asks for lists, texts and pages, with values drawn anew for each call.
`CreateTicket` and the public form of django-helpdesk take turns at the same callers, each with one process
(its one with eight threads) and the same PostgreSQL, which syncs every commit; a ticket of ours is in the
outbox with its event when it is answered. Processor time is in microseconds for a ticket.
"""
HOW = """## How the clock is measured
- One process of sla-clock as its users run it: ledger, metrics and traces on, settings at their defaults. The
  load generator, the three servers and the process share the machine's cores.
- PostgreSQL syncs every commit. Valkey keeps an append-only file that is synced each second. NATS stores on
  disk and syncs as it does by default; a line of its own tells of a sync for each message, as `tickdesk up`
  sets it.
- Tickets are copies of one that the service itself has followed, under other ids and instants, written
  straight into its tables and its index. So following tickets is not part of these figures; firing is.
- A peer's job is empty; our mark is entered in the ledger and acknowledged by the stream. Each peer has one
  worker process, its own way to hand over many jobs, a database of its own in the same Valkey (or the same
  NATS), and our process stands still meanwhile. Peers take turns with ours, round after round.
- Processor time is what the processes used, from /proc, divided by the marks.
- The interpreter counts: one that was built without optimisation by profile takes about an eighth more
  processor time in the worker. Peers in Python run in the same interpreter as ours.
"""
LIMITS = """## What it does not say
One machine, loopback, one replica, no network between the parts, no replicated stream, tickets with one
clock. Rates of another machine differ; ratios differ less.
"""
CONVENTION = """\
Mon-Fri 09-18 Europe/Moscow with the holidays of Russia, 1 to 72 hours. An answer differs by convention when
time runs out exactly at closing: ours is that closing, theirs the opening that follows, and no working time
lies between the two; each such difference was checked to be that.
"""
RACE = (
    "Seconds from the instant until the last one was stored, or had run; and how many times ours that is.\n"
)


def page() -> str:
    """The whole page."""
    files = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))
    }
    parts = files.get("clock", {}).get("parts", {})
    told = [
        INTRODUCTION,
        "## Goals\n",
        *_goals(parts),
        *_tickets(files),
        HOW,
        *_details(parts),
        *_soak(files),
        *_others(files),
        LIMITS,
    ]
    return "\n".join(told)


def _goals(parts: Mapping[str, Any]) -> Iterator[str]:
    if not parts:
        yield "Nothing was measured yet.\n"
        return
    yield from _judged(rows(parts))
    loaded = [name for name, part in parts.items() if part["machine"].get("loaded")]
    if loaded:
        yield f"Others used the machine before these parts, which makes them slower: {', '.join(loaded)}.\n"


def _judged(found: Sequence[Row]) -> Iterator[str]:
    share = [f"{row.share:.2f}" if row.share is not None else "" for row in found]
    lines = [
        (row.what, row.goal, row.reached, used, row.verdict) for row, used in zip(found, share, strict=True)
    ]
    yield _table(("what", "goal", "measured", "of what is allowed", "verdict"), lines)
    judged = [row for row in found if row.met is not None]
    yield f"{sum(bool(row.met) for row in judged)} of {len(judged)} goals reached.\n"


def _tickets(files: Mapping[str, Any]) -> Iterator[str]:
    told = files.get("tickets")
    if not told:
        return
    size = told["size"]
    yield f"## {size['tickets']:,} tickets, {size['messages']:,} messages\n"
    yield TICKETS
    yield from _judged(list(goals.rows(told)))
    times = [(name, *_milliseconds(each)) for name, each in told["calls_of"].items()]
    yield _table(("call", "p50", "p99", "max"), times)
    created = told["create"]
    sides = [name for name in ("ours", "django-helpdesk") if name in created]
    runs = [(name, n, created[name][n]["median"]) for name in sides for n in created[name]]
    lines = [(name, n, *_created(one)) for name, n, one in runs]
    yield _table(("what", "callers", "tickets/s", "p50", "p99", "its process", "PostgreSQL", "load"), lines)
    yield from (f"{name} was not run: {why}.\n" for name, why in created.get("skipped", {}).items())
    yield f"Measured {told['measured']} at {told['revision']}, {_load(told)}.\n"
    yield _machine(told["machine"]) + "\n"


def _milliseconds(figures: Mapping[str, float]) -> list[str]:
    return [f"{figures[name] * 1e3:.1f} ms" for name in ("p50", "p99", "max")]


def _created(one: Mapping[str, float]) -> list[str]:
    used = [f"{one[f'{name}_us']:,.0f}" for name in ("process", "postgres", "load")]
    return [f"{one['per_second']:.0f}", *_milliseconds(one)[:2], *used]


def _details(parts: Mapping[str, Any]) -> Iterator[str]:
    if "spread" in parts:
        yield "## Spread load\n"
        yield from _spread(parts["spread"])
    if "burst" in parts:
        yield from _burst(parts["burst"])
    if "sums" in parts:
        yield from _sums(parts["sums"])
    if parts:
        yield from _machines(parts)


def _spread(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"{part['rate']:,} marks a second for {part['seconds']} s.\n"
    lines = []
    for armed, figures in part["armed"].items():
        one = figures["median"]
        late = [f"{one[name] * 1e3:.1f} ms" for name in ("p50", "p99", "max")]
        bound = f"{one['histogram_p99'] * 1e3:g} ms" if one["histogram_p99"] > 0 else ""
        lines.append((f"{int(armed):,}", *late, bound, str(len(figures["runs"])), cost(one)))
    head = (
        "armed",
        "p50",
        "p99",
        "max",
        "p99 by the service's histogram, at most",
        "runs",
        "processor time of a mark",
    )
    yield _table(head, lines)


def _burst(part: Mapping[str, Any]) -> Iterator[str]:
    yield "## At one instant\n"
    yield RACE
    for count, figures in part["sizes"].items():
        yield f"### {int(count):,}\n"
        ours = figures["ours"]["median"]["seconds"]
        lines = [
            _raced(name, each, ours)
            for name, each in figures.items()
            if isinstance(each, dict) and "runs" in each
        ]
        lines += [
            (name, f"cut off: {why}", "", "", "", "") for name, why in figures.get("cut_off", {}).items()
        ]
        yield _table(("what", "last", "p50", "p99", "runs", "times ours"), lines)
        yield f"Processor time of a mark of ours: {cost(figures['ours']['median'])}.\n"
    for name, why in part.get("skipped", {}).items():
        yield f"{name} was not run: {why}.\n"
    yield "What each promises, by its documents and its source:\n"
    head = ("what", "delivery", "a worker killed at work", "record of what took effect", "moving what waits")
    versions = part.get("versions", {})
    yield _table(
        head, [(f"{name} {versions.get(name, '')}".strip(), *told) for name, told in part["promises"].items()]
    )


def _raced(name: str, each: Mapping[str, Any], ours: float) -> tuple[str, ...]:
    one = each["median"]
    seconds = [f"{one[key]:.2f} s" for key in ("seconds", "p50", "p99")]
    return name, *seconds, str(len(each["runs"])), f"{one['seconds'] / ours:.1f}"


def _sums(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"## Working time: `add`, {part['inputs']:,} inputs\n"
    yield CONVENTION
    one = part["median"]
    lines = [("ours", f"{one['ours_us']:.2f} us", "", "", "", "")]
    for name, compared in part["compared"].items():
        counts = [f"{compared[key]:,}" for key in ("equal", "by_convention", "otherwise")]
        lines.append((name, f"{one[f'{name}_us']:,.0f} us", f"{one[f'{name}_times']:,.0f}", *counts))
    yield _table(("what", "each", "times ours", "equal", "differ by convention", "otherwise"), lines)


def _machines(parts: Mapping[str, Any]) -> Iterator[str]:
    yield "## When and on what\n"
    lines = []
    for name, part in parts.items():
        about = part["machine"]
        used = f"{about.get('busy_before', 0):.0%}" + (", not quiet" if about.get("loaded") else "")
        load = " ".join(map(str, about["load_before"]))
        took, python = f"{part.get('took', 0)} s", about["python"]
        lines.append((name, part["measured"], part["revision"], python, took, load, used))
    head = ("part", "measured", "revision", "Python", "took", "load before", "used by others before")
    yield _table(head, lines)
    yield from {_machine(part["machine"]) + "\n": None for part in parts.values()}


def _machine(about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
        f"Python {about['python']}; {versions}."
    )


def _soak(files: Mapping[str, Any]) -> Iterator[str]:
    parts = files.get("clock-soak", {}).get("parts", {})
    if "spread" in parts:
        yield "## The long run (`make soak`)\n"
        yield from _goals(parts)
        yield from _spread(parts["spread"])


def _others(files: Mapping[str, Any]) -> Iterator[str]:
    """The benches of `make bench`."""
    told = {
        name: body
        for name, body in files.items()
        if "parts" not in body and name != "tickets" and not name.endswith("-quick")
    }
    if told:
        yield "## The rest of the desk\n"
        yield "From `make bench`; [bench/README.md](../../bench/README.md) says what each measures.\n"
        lines = [(name, *line) for name, body in told.items() for line in _leaves("", _figures(body))]
        yield _table(("bench", "of", "figures"), lines)
        yield from (f"{name}: {body['measured']}, {_load(body)}.\n" for name, body in told.items())


def _figures(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in body if name not in ("bench", "measured", "revision", "machine")}


def _load(body: Mapping[str, Any]) -> str:
    return f"load {' '.join(map(str, body['machine']['load_before']))} before"


def _leaves(of: str, figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Figures that stand together, under the names that lead to them."""
    plain = {name: value for name, value in figures.items() if not isinstance(value, Mapping | list)}
    if plain:
        yield of, ", ".join(f"{name} {_plain(value)}" for name, value in plain.items())
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _leaves(f"{of} {name}".strip(), value)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    body = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n{body}"
