"""Who asks: the key a request carries, and what its holder may do."""
