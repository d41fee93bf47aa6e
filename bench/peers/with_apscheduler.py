"""APScheduler: jobs in Redis, eight threads to run them."""

import time
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from tally import COUNT, INSTANT, note, redis_arguments, scheduled

scheduler = BackgroundScheduler(
    jobstores={"default": RedisJobStore(**redis_arguments())},
    executors={"default": ThreadPoolExecutor(8)},
    job_defaults={"misfire_grace_time": None},
    timezone=UTC,
)
# Paused while jobs come in, or each of them would wake it up.
scheduler.start(paused=True)
began, due = time.time(), datetime.fromtimestamp(INSTANT, UTC)
for number in range(COUNT):
    scheduler.add_job(note, "date", run_date=due, args=(number,))
scheduled(began)
scheduler.resume()
time.sleep(3600)
