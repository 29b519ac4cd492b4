"""Models to keep: in half precision, and taken over from EvNN."""

from __future__ import annotations

import pytest
import torch

from egret_training import cli
from egret_training.data import load_corpus
from egret_training.model_file import load_model
from training.tests.tiny_run import RECIPE, write_text

DENSE = RECIPE[: RECIPE.index('[[phases]]\nname = "pruned"')].replace("epochs = 4", "epochs = 1")
LATER = RECIPE[: RECIPE.index("[[phases]]")] + RECIPE[RECIPE.index('[[phases]]\nname = "quantized"') :]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A folder with a text."""
    return write_text(tmp_path_factory.mktemp("kept"), 60)


def test_a_model_in_half_precision_is_half_as_large_and_begins_another_run(text, capsys):
    (text / "dense.toml").write_text(DENSE)
    (text / "later.toml").write_text(LATER)
    data, dense = ["--data", str(text)], text / "run" / "dense.pt"
    train = ["train", "--no-board", *data]
    assert cli.main([*train, str(text / "dense.toml"), "--run", str(text / "run")]) == 0
    assert cli.main(["keep", str(dense), str(text / "half.pt")]) == 0
    model, _ = load_model(dense)
    half, kept = load_model(text / "half.pt")
    assert all(value.dtype == torch.float16 for value in kept["model"].values())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name], value, rtol=2**-11, atol=1e-7)
    assert (text / "half.pt").stat().st_size < 0.6 * dense.stat().st_size
    later = [
        *train,
        str(text / "later.toml"),
        "--run",
        str(text / "later"),
        "--start-from",
        str(text / "half.pt"),
    ]
    assert cli.main(later) == 0
    assert cli.main(["export", str(text / "half.pt"), str(text / "half.npz")]) == 0
    saved = torch.load(dense, weights_only=True)
    saved["model"]["embedding"][0, 0] = 1e6
    torch.save(saved, text / "large.pt")
    capsys.readouterr()
    assert cli.main(["keep", str(text / "large.pt"), str(text / "none.pt")]) == 2
    assert "embedding has a value" in capsys.readouterr().err and not (text / "none.pt").exists()


class EvnnLayer(torch.nn.Module):
    def __init__(self, inputs, neurons):
        super().__init__()
        self.kernel = torch.nn.Parameter(torch.randn(inputs, 3 * neurons) * 0.4)
        self.recurrent_kernel = torch.nn.Parameter(torch.randn(neurons, 3 * neurons) * 0.4)
        self.bias = torch.nn.Parameter(torch.randn(3 * neurons) * 0.3)
        self.recurrent_bias = torch.nn.Parameter(torch.randn(3 * neurons) * 0.3)
        self.thr = torch.nn.Parameter(torch.rand(neurons) * 0.2 + 0.01)
        self.dampening_factor = torch.nn.Parameter(torch.tensor([3.6]), requires_grad=False)


class EvnnModel(torch.nn.Module):
    """The equations of EvNN's language model, one step at a time, with the names of its state dict."""

    def __init__(self, words, sizes, tied):
        super().__init__()
        self.embeddings = torch.nn.Embedding(words, sizes[0])
        decoder = torch.nn.Linear(sizes[-1], words)
        self.decoder = torch.nn.ModuleDict({"decoder": decoder})
        if tied:
            decoder.weight = self.embeddings.weight
        self.rnns = torch.nn.ModuleList(EvnnLayer(*pair) for pair in zip(sizes, sizes[1:], strict=False))

    def forward(self, words):
        """words [batch, T] -> log-probabilities [batch, T, V]."""
        x = self.embeddings(words)
        for layer in self.rnns:
            assert isinstance(layer, EvnnLayer)
            y = h = x.new_zeros(len(x), layer.thr.numel())
            outputs = []
            for step in x.unbind(1):
                wz, wr, wg = (step @ layer.kernel + layer.bias).chunk(3, 1)
                rz, rr, rg = (y @ layer.recurrent_kernel + layer.recurrent_bias).chunk(3, 1)
                z, r = torch.sigmoid(wz + rz), torch.sigmoid(wr + rr)
                cell = z * h + (1 - z) * torch.tanh(wg + r * rg)
                event = torch.heaviside(cell - layer.thr, torch.zeros(()))
                h, y = cell - event * layer.thr, event * cell
                outputs.append(y)
            x = torch.stack(outputs, 1)
        return self.decoder["decoder"](x).log_softmax(-1)


def numbered_as_evnn(folder):
    """Return EvNN's numbers of the training text, and its words by number."""
    numbers: dict[str, int] = {}
    texts = {}
    for split in ("train", "valid", "test"):
        words = []
        for line in (folder / f"ptb.{split}.txt").read_text().splitlines():
            words += [*line.split(), "<eos>"]
        texts[split] = torch.tensor([numbers.setdefault(word, len(numbers)) for word in words])
    return texts["train"], list(numbers)


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_of_evnns_gives_the_same_probabilities_here(text, tmp_path, tied):
    torch.manual_seed(4)
    tokens, words = numbered_as_evnn(text)
    theirs = EvnnModel(len(words), [12, 17, 12 if tied else 9], tied)
    torch.save(theirs.state_dict(), tmp_path / "EGRU.cpt")
    data = ["--data", str(text)]
    assert cli.main(["import-evnn", str(tmp_path / "EGRU.cpt"), str(tmp_path / "ours.pt"), *data]) == 0
    model, saved = load_model(tmp_path / "ours.pt")
    corpus = load_corpus(text)
    assert saved["vocabulary"] == corpus.vocabulary != words
    with torch.no_grad():
        expected = theirs(tokens[None, :60])[0]
        outputs, _ = model.hidden(corpus.train[:60, None], model.initial_state(1), torch.float32)
        weights, bias = model.decoder()
        found = (outputs[-1][:, 0] @ weights.t() + bias).log_softmax(-1)
    assert all(0.05 < float((output != 0).float().mean()) < 0.95 for output in outputs)
    order = [corpus.vocabulary.index(word) for word in words]
    torch.testing.assert_close(found[:, order], expected, rtol=0, atol=1e-6)


def test_what_cannot_be_taken_over_is_named(text, tmp_path, capsys):
    _, words = numbered_as_evnn(text)
    good = EvnnModel(len(words), [12, 17, 12], True).state_dict()
    wrong = ["import-evnn", str(tmp_path / "wrong.cpt"), str(tmp_path / "x.pt"), "--data", str(text)]
    gru = {name: value for name, value in good.items() if not name.startswith("rnns.1")}
    for change, said in (
        ({**good, "rnns.0.zoneout": torch.tensor(0.1)}, "has zoneout (rnns.0.zoneout)"),
        ({**good, "decoder.projection.weight": torch.zeros(3, 3)}, "has a projection"),
        ({**good, "rnns.1.bias": torch.zeros(35)}, "rnns.1.bias is of shape [35], not [36]"),
        ({**good, "embeddings.weight": torch.zeros(99, 12)}, "embeddings.weight is of shape [99, 12]"),
        ({**gru, "rnns.1.weight_hh_l0": torch.zeros(3, 3)}, "layer 1 is a GRU or LSTM"),
        ({"weight": torch.zeros(3)}, "no embeddings.weight"),
        ([1, 2], "no embeddings.weight"),
    ):
        torch.save(change, tmp_path / "wrong.cpt")
        assert cli.main(wrong) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "wrong.cpt").write_bytes(b"no such thing")
    assert cli.main(wrong) == 2
    assert "is no state dict" in capsys.readouterr().err and not (tmp_path / "x.pt").exists()
