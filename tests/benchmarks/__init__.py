"""Measured ratios against bare loops: `make bench`. They print, and never pass or fail a test."""
