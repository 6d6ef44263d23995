"""Large runs: patterns in streams, overlaps in place of patterns, capacities and grids of cells."""
