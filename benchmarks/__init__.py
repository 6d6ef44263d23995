"""Side by side with the plain formulas and with the hardware's limit: ratios measured in one run.

``python -m benchmarks`` runs all and prints the ratios; ``python -m benchmarks NAME …`` some.
"""
