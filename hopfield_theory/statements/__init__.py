"""Every theorem as an object: hypotheses and conclusion as slacks, written once for floats and for balls."""
