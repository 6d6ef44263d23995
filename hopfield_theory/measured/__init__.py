"""Rules of success, crossings of a rate, capacities. Arguments out of range raise ValueError."""
