"""Chunks: payloads in parts, put together in any order, and never more of them than we can hold."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.feishu.long_connection.chunks import (
    EXPIRY_SECONDS,
    MAX_PARTIAL_PAYLOADS,
    MAX_PARTS,
    MAX_TOTAL_BYTES,
    ChunkAssembler,
)


def add_all(chunks: ChunkAssembler, name: str, parts: list[bytes], order: list[int]) -> list[bytes | None]:
    return [chunks.add(name, total=len(parts), number=at, part=parts[at]) for at in order]


@given(st.lists(st.binary(max_size=5), min_size=2, max_size=8), st.integers(0, 99))
def test_parts_in_any_order_make_the_payload(parts: list[bytes], seed: int) -> None:
    order = list(range(len(parts)))
    random.Random(seed).shuffle(order)
    *before, last = add_all(ChunkAssembler(), "m-1", parts, order)

    assert b"".join(parts) == last
    assert [None] * (len(parts) - 1) == before


def test_payloads_that_come_mixed_are_told_apart() -> None:
    chunks = ChunkAssembler()
    chunks.add("m-1", total=2, number=0, part=b"a")
    chunks.add("m-2", total=2, number=1, part=b"d")

    assert b"cd" == chunks.add("m-2", total=2, number=0, part=b"c")
    assert b"ab" == chunks.add("m-1", total=2, number=1, part=b"b")


def test_a_part_that_comes_twice_counts_once() -> None:
    chunks = ChunkAssembler()

    assert [None, None, b"ab"] == add_all(chunks, "m-1", [b"a", b"b"], [0, 0, 1])


def test_what_is_finished_is_forgotten() -> None:
    chunks = ChunkAssembler()
    add_all(chunks, "m-1", [b"a", b"b"], [0, 1])

    assert None is chunks.add("m-1", total=2, number=1, part=b"b")


@pytest.mark.parametrize(
    "total, number",
    [(2, 2), (2, -1), (2, 10**9), (0, 0), (-5, 0), (MAX_PARTS + 1, 0), (10**9, 0), (10**30, 1)],
)
def test_a_part_that_cannot_be_one_is_refused_and_costs_nothing(total: int, number: int) -> None:
    with pytest.raises(ValueError, match=f"part {number} of {total}"):
        ChunkAssembler().add("m-1", total=total, number=number, part=b"x")


def test_a_part_of_another_number_of_parts_is_refused() -> None:
    chunks = ChunkAssembler()
    chunks.add("m-1", total=2, number=0, part=b"a")
    with pytest.raises(ValueError, match="where there were 2 before"):
        chunks.add("m-1", total=3, number=1, part=b"b")


def test_of_too_many_unfinished_ones_the_oldest_are_forgotten() -> None:
    chunks = ChunkAssembler()
    for number in range(MAX_PARTIAL_PAYLOADS + 1):
        chunks.add(f"m-{number}", total=2, number=0, part=b"a")

    assert None is chunks.add("m-0", total=2, number=1, part=b"b")
    assert b"ab" == chunks.add(f"m-{MAX_PARTIAL_PAYLOADS}", total=2, number=1, part=b"b")


def test_of_too_large_unfinished_ones_the_oldest_are_forgotten() -> None:
    chunks = ChunkAssembler()
    for number in range(3):
        chunks.add(f"m-{number}", total=2, number=0, part=bytes(MAX_TOTAL_BYTES // 2))

    assert None is chunks.add("m-0", total=2, number=1, part=b"")
    assert MAX_TOTAL_BYTES // 2 == len(chunks.add("m-2", total=2, number=1, part=b"") or b"")


@pytest.mark.parametrize("whole, seconds", [(b"ab", EXPIRY_SECONDS - 1), (None, EXPIRY_SECONDS)])
def test_what_stays_unfinished_is_forgotten_after_a_while(whole: bytes | None, seconds: float) -> None:
    now = 1000.0
    chunks = ChunkAssembler(lambda: now)
    chunks.add("m-1", total=2, number=0, part=b"a")
    now += seconds

    assert whole == chunks.add("m-1", total=2, number=1, part=b"b")
