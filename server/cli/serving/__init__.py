"""A server as the command line runs it: alone, or as one of several whom a supervisor starts.

The supervisor imports as little as it can: it stays as long as they do, and each module costs memory.
"""
