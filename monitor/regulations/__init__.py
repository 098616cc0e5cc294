"""Regulation packs: finding, loading and showing the rules that are data."""

from monitor.regulations.loader import load, load_all, load_file, packs_directory
from monitor.regulations.problem import PackError, Problem

__all__ = ["PackError", "Problem", "load", "load_all", "load_file", "packs_directory"]
