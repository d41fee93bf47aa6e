"""Every metric of notifier."""

from prometheus_client import Counter, Gauge, Histogram

NOTIFICATIONS = Counter(
    "tickdesk_notifications_total",
    "Outcomes of delivery attempts: sent, failed for good, postponed; and what was suppressed.",
    ["channel", "outcome"],
)
DELIVERY_SECONDS = Histogram(
    "tickdesk_notification_delivery_seconds",
    "From the event to the acceptance by the next hop.",
    ["channel", "template"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
UNKNOWN = Counter(
    "tickdesk_delivery_unknown_total",
    "Deliveries sent again because an earlier attempt died without an outcome.",
    ["channel"],
)
OLDEST = Gauge("tickdesk_delivery_oldest_seconds", "Age of the most overdue delivery.", ["channel"])

# A counter that is born with its first event hides that event from increase(), so all begin at 0.
for _channel in ("email", "webhook"):
    UNKNOWN.labels(_channel)
    for _outcome in ("sent", "failed", "postponed", "suppressed"):
        NOTIFICATIONS.labels(_channel, _outcome)
