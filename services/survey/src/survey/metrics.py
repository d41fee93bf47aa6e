"""Every metric of survey."""

from prometheus_client import Counter

SURVEYS = Counter("tickdesk_surveys_total", "Surveys planned, skipped, asked and expired.", ["outcome"])
ANSWERS = Counter(
    "tickdesk_survey_answers_total",
    "First answers by queue and height: low (at or under the threshold), mid, high (75 and more).",
    ["queue", "bucket"],
)
PAGES = Counter("tickdesk_survey_pages_total", "Requests to the public pages by status.", ["status"])

for _outcome in ("planned", "skipped", "asked", "expired"):
    # A counter that is born with its first event hides that event from increase().
    SURVEYS.labels(_outcome)

_QUEUES = 50
_known: set[str] = set()


def queue_label(queue: str) -> str:
    """The queue as a label; beyond fifty queues all others share one."""
    if queue not in _known and len(_known) >= _QUEUES:
        return "_other"
    _known.add(queue)
    return queue
