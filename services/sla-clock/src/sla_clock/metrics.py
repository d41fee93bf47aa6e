"""Every metric of sla-clock."""

from prometheus_client import Counter, Gauge, Histogram

ARMED = Gauge("tickdesk_sla_timers_armed", "Timers in the index, at the last reconciliation.")
LATENESS = Histogram(
    "tickdesk_sla_fire_lateness_seconds",
    "From a mark's own instant to its event being stored in the stream; exemplars name traces of late ones.",
    ["clock"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 86400),
)
MARKS = Counter("tickdesk_sla_marks_total", "Marks fired, by what they ask for.", ["clock", "action"])
BREACHES = Counter("tickdesk_sla_breaches_total", "Targets missed.", ["clock", "queue", "priority"])
CLOCKS = Counter("tickdesk_sla_clock_changes_total", "Turns of clocks.", ["clock", "turn"])
FOLDED = Counter("tickdesk_sla_marks_folded_total", "Reminders folded into a later mark.", ["clock"])
CONFLICTS = Counter(
    "tickdesk_sla_ledger_conflicts_total", "Marks found in the ledger already: another worker fired them."
)
LOST_RACES = Counter(
    "tickdesk_sla_races_lost_total", "Tickets that changed between being read and being fired."
)
CLAIMED = Counter("tickdesk_sla_claimed_total", "Timers claimed.")
LANES_BUSY = Gauge("tickdesk_sla_lanes_busy", "Lanes that are firing now.")
BATCH_MARKS = Histogram(
    "tickdesk_sla_batch_marks",
    "Marks entered into the ledger at once.",
    buckets=(1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500),
)
STALE = Counter("tickdesk_sla_stale_events_total", "Ticket events older than what was applied.")
REFUSED = Counter(
    "tickdesk_sla_settles_refused_total", "Claimed timers that had moved or been taken over when settled."
)
DRIFT = Counter("tickdesk_sla_timer_drift_total", "Timers repaired: missing, orphan or moved.", ["kind"])
TICKET_DRIFT = Counter(
    "tickdesk_sla_ticket_drift_total",
    "Tickets caught up with over gRPC: missing or stale here; orphan ones are not known there.",
    ["kind"],
)
SWEPT = Counter("tickdesk_sla_swept_total", "Tickets whose marks were found in the database, not by a timer.")
REPUBLISHED = Counter(
    "tickdesk_sla_republished_total", "Mark events published by the sweep: late, or lost by the stream."
)
TOO_LARGE = Counter(
    "tickdesk_sla_marks_too_large_total",
    "Mark events the stream refused for their size, each time; raise its max_msg_size.",
)
PRUNED = Counter(
    "tickdesk_sla_pruned_marks_total",
    "Marks of tickets that are over, deleted for their age.",
)
REBUILD_SECONDS = Histogram(
    "tickdesk_sla_reconcile_seconds",
    "Duration of a comparison of timers and database.",
    buckets=(0.05, 0.1, 0.5, 1, 5, 15, 60, 300),
)
INDEX_UP = Gauge("tickdesk_sla_timers_up", "1 while Redis answers; at 0 the database is swept instead.")
DUE_SOON = Gauge("tickdesk_sla_due_clocks", "Running clocks due within so many minutes.", ["minutes"])
WATCHES = Gauge("tickdesk_sla_watches", "Calls of WatchMarks that are open.")
POLICY = Gauge("tickdesk_sla_policy_version", "Version of the policy in force; 0 without one.")
POLICY_FILE_BAD = Gauge("tickdesk_sla_policy_file_bad", "1 when the policy file was refused at start.")
OUTDATED = Gauge(
    "tickdesk_sla_outdated_tickets", "Open tickets not yet computed under the policy and the data in force."
)
RECALCULATED = Counter(
    "tickdesk_sla_recalculated_tickets_total", "Open tickets brought under another policy or other data."
)
