"""Random memories of up to e^700 patterns, simulated by their overlaps. Arguments out of range raise ValueError."""
