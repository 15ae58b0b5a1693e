"""Looking into a network: attention maps, what sub-networks keep, which of them are worth their cost."""
