"""The storage account: the only place where Spillway keeps anything."""
