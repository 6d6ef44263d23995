"""softmax_n attention: queries, keys and values to values, a file per backend."""
