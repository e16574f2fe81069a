import os

from app.ids import new_id


def test_a_forked_process_gives_names_of_its_own() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 16) != new_id().bytes
