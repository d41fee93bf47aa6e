"""What a background loop asks before each round."""

import asyncio


def going() -> bool:
    """False once the running task was asked to stop.

    Loops ask this instead of running for ever: before Python 3.12 whatever waits with `asyncio.wait_for`,
    as clients of databases and brokers do, swallows a cancellation that meets its answer.
    """
    task = asyncio.current_task()
    return task is None or not task.cancelling()
