"""Modern Hopfield models: retrieval, certificates of storage and the theory behind them."""
