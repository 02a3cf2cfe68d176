"""Whether a call costs the same however many deployments, keys and open batches there are."""
