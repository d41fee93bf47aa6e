from concurrent.futures import ThreadPoolExecutor

from chassis.clock import utcnow, uuid7


def test_ids_of_one_process_are_versioned_unique_and_increasing() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {one.version for one in ids} == {7}
    assert {one.variant for one in ids} == {"specified in RFC 4122"}


def test_ids_made_by_threads_differ() -> None:
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: [uuid7() for _ in range(2000)], range(4)))
    assert len({one for ids in many for one in ids}) == 8000


def test_an_id_carries_its_millisecond() -> None:
    before = int(utcnow().timestamp() * 1000)
    assert abs((uuid7().int >> 80) - before) < 10_000
