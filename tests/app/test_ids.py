import os
from uuid import RFC_4122, UUID

from app.ids import new_id


def test_they_are_random_uuids() -> None:
    ids = [new_id() for _ in range(100)]
    assert {(UUID(name).version, UUID(name).variant) for name in ids} == {(4, RFC_4122)}
    assert [str(UUID(name)) for name in ids] == ids
    assert len({*ids}) == len(ids)


def test_a_forked_process_gives_names_of_its_own() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 36) != new_id().encode()
