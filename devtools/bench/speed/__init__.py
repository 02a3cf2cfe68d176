"""The speed table: Spillway, the bare forwarding route and, where they are installed, its peers, in one run."""
