"""Several processes that serve on the same ports, and the one that supervises them.

The supervisor imports as little as it can: it stays as long as they do, and each module costs memory.
"""
