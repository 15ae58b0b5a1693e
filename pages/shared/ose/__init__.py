"""Optimal subarchitecture extraction: a section of the page Search."""
