"""How Azure OpenAI and OpenAI are reached: endpoints, credentials, transport, and what their answers mean."""
