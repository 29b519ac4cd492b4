"""A recipe and a text that train in a second."""

from __future__ import annotations

import numpy as np

RECIPE = """
name = "tiny"
streams = 4
window = 10
evaluation_streams = 4
[model]
embedding = 20
layers = [30, 20]
tied = true
[[phases]]
name = "dense"
epochs = 4
learning_rate = 1e-2
dropout_words = 0.05
dropout_between = 0.1
dropout_recurrent = 0.1
softmax_head = 10
softmax_tail = 12
softmax_full_from = 0.85
anneal_from = 0.0
anneal_until = 0.5
activity_targets = [0.3, 0.2]
activity_from = 0.25
activity_until = 0.75
average_from = 0.8
[[phases]]
name = "pruned"
epochs = 2
learning_rate = 5e-3
untie = true
[phases.pruning]
sparsity = 0.6
decoder_sparsity = 0.5
slots = 2
gap_bits = 3
ramp = 0.5
[[phases]]
name = "quantized"
epochs = 1
learning_rate = 1e-3
quantized = true
"""


def write_text(folder, lines=200):
    """Write three texts in which each of 30 words mostly decides the next; return their folder."""
    random = np.random.default_rng(11)
    follower = random.permutation(30)
    for split, count in (("train", lines), ("valid", 30), ("test", 30)):
        text = []
        for _ in range(count):
            word = int(random.integers(30))
            line = [word]
            for _ in range(9):
                word = int(follower[word]) if random.random() < 0.9 else int(random.integers(30))
                line.append(word)
            text.append(" ".join(f"w{word}" for word in line))
        if split == "train":
            text.append(" ".join(f"w{word}" for word in range(30)))
        (folder / f"ptb.{split}.txt").write_text("\n".join(text) + "\n")
    return folder
