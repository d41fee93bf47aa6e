"""Every metric of intake."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter(
    "tickdesk_intake_messages_total",
    "Messages by what became of them: created and appended count conversations, rejected were told why, "
    "failed may come again.",
    ["channel", "outcome"],
)
SECONDS = Histogram(
    "tickdesk_intake_processing_seconds",
    "From a message that has been read to its commit.",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LAST_SUCCESS = Gauge(
    "tickdesk_intake_last_success_timestamp_seconds",
    "When the channel last took a message or was seen to be able to.",
    ["channel"],
)
ENABLED = Gauge("tickdesk_intake_channel_enabled", "1 for a channel that this process serves.", ["channel"])
PARSE_FAILURES = Counter(
    "tickdesk_intake_parse_failures_total",
    "Mails stored unread, as a file: reading took too long, too much memory, or the reader died.",
    ["reason"],
)
FORGED = Counter(
    "tickdesk_intake_unproven_references_total",
    "Messages that named a conversation without a right to it and began their own.",
)

OUTCOMES = ("created", "appended", "duplicate", "rejected", "failed")
PARSE_REASONS = ("timeout", "died")


def declare(channels: tuple[str, ...]) -> None:
    """Show every series at 0 from the start, so that the first event is visible to `increase()`."""
    for channel in channels:
        ENABLED.labels(channel).set(1)
        SECONDS.labels(channel)
        LAST_SUCCESS.labels(channel).set_to_current_time()
        for outcome in OUTCOMES:
            MESSAGES.labels(channel, outcome)
    for reason in PARSE_REASONS:
        PARSE_FAILURES.labels(reason)
