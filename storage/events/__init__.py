"""Events, each once, with the keys by which they are known; the types that are declared, and what was refused."""
