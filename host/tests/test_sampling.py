"""Drawing words: the draws follow softmax, of the likeliest only, and a seed repeats them."""

from __future__ import annotations

import numpy as np
import pytest

from egret.errors import EgretError
from egret.sampling import Sampler

SEED = 12
LOGITS = np.array([0, 2048, -1024, 4096, 1024, 2048], dtype=np.int32)  # 0, 1, -0.5, 2, 0.5, 1


def shares(sampler: Sampler, draws: int = 20000) -> np.ndarray:
    tokens = [sampler.choose(LOGITS) for _ in range(draws)]
    return np.bincount(tokens, minlength=LOGITS.size) / draws


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_draws_follow_softmax_at_the_temperature(temperature: float) -> None:
    expected = softmax(LOGITS / 2048.0 / temperature)
    # Five standard deviations of a share over 20000 draws are below 0.018.
    assert np.abs(shares(Sampler(temperature, seed=SEED)) - expected).max() < 0.018, f"seed {SEED}"


@pytest.mark.parametrize(
    ("top_k", "tokens"), [(2, [1, 3]), (3, [1, 3, 5]), (4, [1, 3, 4, 5]), (99, range(6))]
)
def test_only_the_likeliest_are_drawn_and_of_equals_the_smallest(top_k: int, tokens: list[int]) -> None:
    expected = np.zeros(LOGITS.size)
    expected[list(tokens)] = softmax(LOGITS[list(tokens)] / 2048.0)
    found = shares(Sampler(1.0, top_k, seed=SEED))
    assert np.abs(found - expected).max() < 0.018, f"seed {SEED}"
    assert found[expected == 0].sum() == 0


def test_the_coldest_draw_is_the_argmax() -> None:
    ties = np.array([5, 9, 9], dtype=np.int32)
    for sampler in (Sampler(0.0), Sampler(5.0, top_k=1)):
        assert sampler.choose(LOGITS) == 3
        assert sampler.choose(ties) == 1  # as the kernel: the smallest among equals
    nearly = Sampler(1e-300, seed=SEED)
    assert {nearly.choose(LOGITS) for _ in range(50)} == {3}


def test_extreme_logits_are_drawn_from_too() -> None:
    wide = np.array([-(2**31), 2**31 - 1, 2**31 - 1], dtype=np.int32)
    sampler = Sampler(1.0, seed=SEED)
    assert {sampler.choose(wide) for _ in range(100)} == {1, 2}, f"seed {SEED}"


def test_a_seed_repeats_the_draws_and_another_does_not() -> None:
    def draw(seed: int) -> list[int]:
        sampler = Sampler(2.0, seed=seed)
        return [sampler.choose(LOGITS) for _ in range(40)]

    assert draw(SEED) == draw(SEED)
    assert draw(SEED) != draw(SEED + 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(EgretError, match=said):
        Sampler(**arguments)  # type: ignore[arg-type]
