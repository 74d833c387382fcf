"""Events as the contract has them ↔ plain values."""
