"""The Bicep of infra/ without Azure: read, and held against the resource types that Microsoft publishes."""
