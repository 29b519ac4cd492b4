"""A model file, whichever kind it is: a quantised checkpoint or a packed image."""

from __future__ import annotations

from pathlib import Path

from egret.checkpoint import Checkpoint
from egret.contract import MAGIC
from egret.errors import EgretError
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.profiles import Build
from egret.text.vocabulary import TextConvention, Vocabulary

_ZIP_MAGIC = b"PK\x03\x04"
_IMAGE_MAGIC = MAGIC.to_bytes(4, "little")


def load_model(path: Path) -> Checkpoint | ModelImage:
    """Read the checkpoint (.npz) or model image at `path`; the file's first bytes say which it is.

    Raises EgretError where it cannot be read or is neither.
    """
    try:
        with path.open("rb") as stream:
            begin = stream.read(4)
    except OSError as error:
        raise EgretError(f"The model {path} cannot be read: {error.strerror or error}.") from error
    if begin == _IMAGE_MAGIC:
        return ModelImage.load(path)
    if begin == _ZIP_MAGIC:
        return Checkpoint.load(path)
    raise EgretError(f"{path} is neither a quantised checkpoint (.npz) nor a packed model image.")


def vocabulary_of(model: Checkpoint | ModelImage) -> Vocabulary:
    """Return a model's words with its text convention; raise EgretError if the convention is not valid."""
    return Vocabulary(model.vocabulary, TextConvention.of_metadata(model.metadata))


def image_for(model: Checkpoint | ModelImage, build: Build) -> ModelImage:
    """Return the image of a model: a checkpoint is packed for `build`, an image stays as it is.

    Raises EgretError where the build cannot run the checkpoint; an image is checked when it is loaded.
    """
    return pack(model, build) if isinstance(model, Checkpoint) else model
