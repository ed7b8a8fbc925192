"""Work cut into units: the contract, and who makes the units."""
