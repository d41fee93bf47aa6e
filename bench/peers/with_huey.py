"""huey: four threads, no results kept."""

import time
from datetime import UTC, datetime

from huey import RedisHuey
from tally import COUNT, INSTANT, URL, note, scheduled

huey = RedisHuey("bench", url=URL, results=False)
job = huey.task()(note)

began, due = time.time(), datetime.fromtimestamp(INSTANT, UTC)
for number in range(COUNT):
    job.schedule(args=(number,), eta=due)
scheduled(began)
huey.create_consumer(workers=4, worker_type="thread", scheduler_interval=1, periodic=False).run()
