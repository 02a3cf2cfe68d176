"""Who serves: the deployments that could, and the order in which they are tried."""
