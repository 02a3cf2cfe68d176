"""What an operator asks of the running gateway: reports of what was spent."""
