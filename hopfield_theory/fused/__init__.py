"""softmax_n attention, with one file per backend."""
