import subprocess
import sys
from uuid import UUID, uuid4

from core.random_ids import BLOCK_IDS, random_hex, random_uuid

COUNT = 3 * BLOCK_IDS


def test_ids_are_distinct() -> None:
    assert len({random_hex() for _ in range(COUNT)} | {random_uuid() for _ in range(COUNT)}) == 2 * COUNT


def test_hex_is_128_bits() -> None:
    assert all(len(digits) == 32 and int(digits, 16) >= 0 for digits in (random_hex() for _ in range(COUNT)))


def test_uuid_is_random_one_in_canonical_form() -> None:
    for text in [random_uuid() for _ in range(COUNT)]:
        uuid = UUID(text)
        assert (str(uuid), uuid.version, uuid.variant) == (text, uuid4().version, uuid4().variant)


FORK = """
import os
from core.random_ids import BLOCK_IDS, random_hex
random_hex()
child = os.fork()
print(*(random_hex() for _ in range(BLOCK_IDS)), flush=True)
if child:
    os.waitpid(child, 0)
"""


def test_forked_process_has_other_ids() -> None:
    # In a process of its own, which has no threads.
    command = [sys.executable, "-c", FORK]
    first, second = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    assert set(first.split()).isdisjoint(second.split())
