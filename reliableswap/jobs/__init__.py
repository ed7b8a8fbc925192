"""Work split into units: the contract, and the executors that make the units."""
