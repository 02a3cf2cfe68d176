"""What models, operations and api-versions can do, as data."""
