"""The error that every part of Egret raises for what a user can put right."""

from __future__ import annotations


class EgretError(Exception):
    """Bad input or a missing prerequisite; the message says what is wrong and what would be right."""


class RunError(EgretError):
    """A board that does not do what it should; the input is not at fault."""
