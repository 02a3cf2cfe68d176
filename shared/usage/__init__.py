"""What a call used: read from the upstream's own figures, or estimated when there are none."""
