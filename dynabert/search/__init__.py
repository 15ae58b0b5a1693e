"""Which sub-network to take: searches over widths, depths and lengths, and widths by importance."""
