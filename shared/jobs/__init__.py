"""Fine-tuning jobs: rows of our own, moved to a resource that can train, followed there, and charged when they end."""
