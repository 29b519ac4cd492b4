"""Mutated images: the loader accepts no unsound one, whatever was done to it. `make fuzz` loads many more."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

import egret.image.model_image
from egret.errors import EgretError
from egret.image.model_image import ModelImage
from host.tests.fuzz_images import Accepted, fuzz, outcome
from host.tests.support.image_mutations import MUTATIONS, base_images, repair

SEED = int(os.environ.get("EGRET_SEED", random.SystemRandom().randrange(1 << 31)))


def test_no_mutated_image_is_accepted_unless_sound() -> None:
    """A failure names seed and number; EGRET_SEED repeats it."""
    found = fuzz(SEED, 300)
    assert sum(found.values()) == 300
    for mutation in MUTATIONS:
        assert sum(count for (name, _), count in found.items() if name == mutation.__name__), SEED
    assert sum(count for (_, result), count in found.items() if result == "refused") > 150, SEED


def test_a_loader_that_checks_no_content_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer can fail: without these checks it finds a crash or an unsound image at once."""
    monkeypatch.setattr(egret.image.model_image, "check_content", lambda image: None)
    with pytest.raises(Accepted, match=rf"image \d+ of seed {SEED} \(\w+\): "):
        fuzz(SEED, 300)


def test_a_loader_that_checks_no_checksum_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egret.image.model_image, "check_envelope", lambda data: None)
    with pytest.raises(Accepted, match=rf"image \d+ of seed {SEED} \(\w+\): "):
        fuzz(SEED, 300)


def test_sound_images_are_their_own_outcome() -> None:
    for image in base_images(SEED):
        assert outcome(image, image.data.copy()) == "same"


@pytest.mark.parametrize("text", [b"[", b'{"a":'])
def test_metadata_nested_without_end_is_refused(text: bytes) -> None:
    """Python's JSON reader recurses: this was a crash."""
    image = base_images(SEED)[0]
    nested = np.frombuffer((text * 100_000).ljust(-(-100_000 * len(text) // 64) * 64), dtype=np.uint8)
    data = np.concatenate([image.data, nested])
    old = image.header.metadata
    data[old.offset : old.end] = 0
    words = data[:512].view("<u4")
    words[2], words[18], words[19] = data.size, image.data.size, nested.size
    with pytest.raises(EgretError, match="metadata is not JSON"):
        ModelImage.parse(repair(data))
