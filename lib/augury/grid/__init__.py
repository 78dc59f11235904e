"""Runs an experiment over a grid of settings: cached, resumable, parallel, distributed."""

from augury.grid.keys import key
from augury.grid.running import missing, run
from augury.plan import Plan

__all__ = ["Plan", "key", "missing", "run"]
