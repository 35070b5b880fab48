"""Ids of events are UUIDs that sort by time, and no host makes two alike."""

from __future__ import annotations

import os
import random
import time
import uuid

from tollmeter.model.ids import new_event_id, new_span_id


def test_event_ids_are_uuids_of_their_moment_in_order() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_event_id() for _ in range(1000)]
    known = uuid.UUID(ids[0])
    assert (known.version, known.variant, str(known)) == (7, uuid.RFC_4122, ids[0])
    assert before <= known.int >> 80 <= time.time_ns() // 1_000_000
    assert len(set(ids)) == len(ids)


def test_a_host_that_seeds_its_dice_does_not_seed_ours() -> None:
    random.seed(1)
    first = new_span_id()
    random.seed(1)
    assert new_span_id() != first


def test_a_forked_child_throws_dice_of_its_own() -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, new_span_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 64).decode() != new_span_id()
    os.close(read)
    os.close(write)
