"""Noise over a real socket, in short: nothing unforeseen, the next good event gets through. For long: `make fuzz`."""

from pathlib import Path

from support.fuzzing import fuzz_cards, fuzz_readers, fuzz_webhook, fuzz_wire


def test_noise_neither_ends_nor_deafens_the_notifier(tmp_path: Path) -> None:
    figures = fuzz_wire(tmp_path, seed=7, count=2_500, failure_file=tmp_path / "kept.txt")

    assert 2_500 == figures.total
    assert figures.memory_after - figures.memory_before < 100


def test_noise_at_the_webhook_neither_ends_nor_deafens_the_notifier(tmp_path: Path) -> None:
    figures = fuzz_webhook(tmp_path, seed=7, count=2_500, failure_file=tmp_path / "kept.txt")

    assert 2_500 == figures.total
    assert {"webhook 200", "webhook 400", "webhook 401"} == set(figures.inputs)
    assert figures.memory_after - figures.memory_before < 100


def test_hostile_texts_never_spoil_a_card(tmp_path: Path) -> None:
    assert 150 == fuzz_cards(seed=1, count=150, failure_file=tmp_path / "kept.txt").total


def test_whatever_is_read_is_understood_or_declined(tmp_path: Path) -> None:
    assert 3_000 == fuzz_readers(seed=1, count=3_000, failure_file=tmp_path / "kept").total
