"""`pivm doctor`: placeholder of the next commit."""

from __future__ import annotations

from pivm.cli.command import Command

COMMAND = Command("doctor", "", lambda parser: None, lambda options: 0)
