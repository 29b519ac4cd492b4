"""`egret report`: an HTML page of a saved run, and its pictures as files."""

from __future__ import annotations

import argparse
from pathlib import Path

from egret.errors import EgretError
from egret.files import write_atomically
from egret.report.page import make_page
from egret.report.pictures import draw_pictures
from egret.report.run_file import load_record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's description and arguments to its parser."""
    parser.description = (
        "Write an HTML page about a run that 'egret run --save RUN' saved: MACs on paper, MACs done and "
        "cycles; which neurons fired; the roofline; where cycles and bytes went. The page needs no other "
        "file and no network, and its pictures are also written beside it. The command needs matplotlib, "
        "but neither the model nor a board."
    )
    parser.set_defaults(function=report)
    parser.add_argument("run", metavar="RUN", type=Path, help="a saved run")
    parser.add_argument(
        "-o", "--output", metavar="PAGE", type=Path, help="page to write (default: RUN with the ending .html)"
    )


def report(arguments: argparse.Namespace) -> int:
    """Run the command; raises EgretError where something is missing or a file cannot be written."""
    page = arguments.output or arguments.run.with_suffix(".html")
    if page.absolute() == arguments.run.absolute():
        raise EgretError(f"{page} is the run itself: name another file with --output.")
    if not page.absolute().parent.is_dir():
        raise EgretError(f"{page} cannot be written: there is no such folder.")
    record = load_record(arguments.run)
    pictures = draw_pictures(record)
    text = make_page(record, pictures)
    files = {
        page: text.encode("utf-8"),
        **{page.with_name(f"{page.stem}-{picture.name}.png"): picture.png for picture in pictures},
    }
    for path, content in files.items():
        write_atomically(path, content)
        print(f"written: {path}")
    return 0
