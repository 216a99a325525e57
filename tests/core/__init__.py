"""The programs in isolation."""
