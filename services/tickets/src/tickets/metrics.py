"""Metrics of the service. Labels are bounded: lines, priorities, channels, reasons, queues."""

from prometheus_client import Counter, Gauge, Histogram

CREATED = Counter("tickdesk_tickets_created_total", "Tickets opened.", ["line", "priority", "channel"])
CLOSED = Counter("tickdesk_tickets_closed_total", "Tickets closed.", ["line", "priority"])
REOPENED = Counter("tickdesk_tickets_reopened_total", "Tickets opened again.", ["line", "priority"])
ESCALATIONS = Counter(
    "tickdesk_escalations_total",
    "Escalations begun or moved on; the lines are equal where only management was told.",
    ["from_line", "to_line", "reason"],
)
INCIDENTS_PROPOSED = Counter(
    "tickdesk_incidents_proposed_total", "Bursts of tickets that were proposed as a mass incident.", ["queue"]
)
INCIDENT_STEPS = Counter(
    "tickdesk_incident_steps_total",
    "Children of mass incidents that followed their parent, or refused to.",
    ["kind", "result"],
)
BULK_STEPS = Counter(
    "tickdesk_bulk_steps_total",
    "Tickets that bulks came to, dry runs included, by what was done to them.",
    ["action", "result"],
)
REFUSED_STEPS = Counter(
    "tickdesk_tickets_refused_steps_total",
    "Steps of the background that the rules refused; the log says which and why.",
    ["work"],
)
WATCHES = Gauge("tickdesk_tickets_watches", "Calls of WatchQueue that are open.")
OPEN = Gauge("tickdesk_tickets_open", "Tickets that are not resolved, by status.", ["queue", "status"])
OLDEST_UNASSIGNED = Gauge(
    "tickdesk_ticket_oldest_unassigned_age_seconds", "Age of the oldest ticket nobody has taken.", ["queue"]
)

_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 432000)
FIRST_RESPONSE = Histogram(
    "tickdesk_ticket_first_response_seconds",
    "Business time to a person's first reply, as the clock counted it.",
    ["line", "priority"],
    buckets=_BUCKETS,
)
RESOLUTION = Histogram(
    "tickdesk_ticket_resolution_seconds",
    "Business time to the resolution without pauses, as the clock counted it.",
    ["line", "priority"],
    buckets=_BUCKETS,
)
BY_CLOCK = {"first_response": FIRST_RESPONSE, "resolution": RESOLUTION}

RULES = Counter(
    "tickdesk_rules_total",
    "Rules of queues that were set off: done, failed, or not run because a bound was reached.",
    ["outcome"],
)

_LINES = ("L1", "L2", "L3")
_PRIORITIES = ("LOW", "NORMAL", "HIGH", "CRITICAL")
_STEPS = (("L1", "L2"), ("L2", "L3"), ("L1", "L1"), ("L2", "L2"), ("L3", "L3"))
_REASONS = ("BY_AGENT", "SLA_MARK", "SLA_OVERRUN")

# A counter that is born with its first event hides that event from increase(), so all begin at 0.
for _line in _LINES:
    for _priority in _PRIORITIES:
        CREATED.labels(_line, _priority, "email")
        CLOSED.labels(_line, _priority)
        REOPENED.labels(_line, _priority)
        FIRST_RESPONSE.labels(_line, _priority)
        RESOLUTION.labels(_line, _priority)
for _from, _to in _STEPS:
    for _reason in _REASONS:
        ESCALATIONS.labels(_from, _to, _reason)
for _outcome in ("done", "failed", "not_run"):
    RULES.labels(_outcome)
for _work in ("closing", "incidents", "bursts", "organisations", "customers", "bulks", "rules"):
    REFUSED_STEPS.labels(_work)
