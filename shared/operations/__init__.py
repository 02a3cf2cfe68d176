"""One Operation per endpoint of the API, and how an operation is served, buffered or streamed."""
