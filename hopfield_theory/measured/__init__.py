"""Rules of success, the crossing where success stops, capacities."""
