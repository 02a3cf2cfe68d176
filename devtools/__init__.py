"""What a developer runs and Azure never sees: host, simulator, storage, bench."""
