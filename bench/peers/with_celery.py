"""Celery: ETA tasks over Redis, one prefork worker of one process, which has to fetch them all in time."""

import time
from datetime import UTC, datetime

from celery import Celery
from tally import COUNT, INSTANT, URL, note, scheduled

app = Celery("bench", broker=URL, set_as_current=True)
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)
job = app.task(name="job")(note)

began, due = time.time(), datetime.fromtimestamp(INSTANT, UTC)
with app.connection_for_write() as connection:
    for number in range(COUNT):
        job.apply_async((number,), eta=due, connection=connection)
scheduled(began)
app.worker_main(["worker", "--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle",
                 "--without-heartbeat", "--loglevel=ERROR"])  # fmt: skip
