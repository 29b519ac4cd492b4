"""Prints a file of the Penn Treebank that EGRET_PTB names: penn_treebank.py ptb.train.txt."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

from egret.errors import EgretError


def read_treebank(name: str) -> str:
    """Return the text of the file `name` in the folder or zip that EGRET_PTB names, or in a zip therein.

    Raises EgretError where EGRET_PTB names nothing that holds it.
    """
    given = os.environ.get("EGRET_PTB")
    if not given:
        raise EgretError("EGRET_PTB must name a folder or zip of the Penn Treebank; it is not set.")
    path = Path(given)
    if not path.is_file():
        for found in sorted(path.rglob(name)):
            return found.read_text(encoding="utf-8")
    for archive in [path] if path.is_file() else sorted(path.glob("*.zip")):
        try:
            with zipfile.ZipFile(archive) as members:
                for member in members.namelist():
                    if Path(member).name == name:
                        return members.read(member).decode("utf-8")
        except zipfile.BadZipFile as error:
            raise EgretError(f"{archive}, which EGRET_PTB names, is no zip file.") from error
    raise EgretError(f"{path}, which EGRET_PTB names, holds no {name}.")


if __name__ == "__main__":
    try:
        sys.stdout.write(read_treebank(sys.argv[1]))
    except EgretError as error:
        sys.exit(str(error))
