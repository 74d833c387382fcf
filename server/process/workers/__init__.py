"""Several processes that serve on the same ports, and the one that supervises them."""
