"""One memory: separation function, energy, dynamics, fixed points, retrieval."""
