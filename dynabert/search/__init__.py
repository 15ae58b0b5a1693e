"""Which sub-network to take: choices beyond one width for all layers."""
