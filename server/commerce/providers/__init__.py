"""Who takes the money: `port` is what commerce needs of a provider, and each other file is one of them."""
