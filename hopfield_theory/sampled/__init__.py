"""Memories of up to e^700 patterns, by their overlaps."""
