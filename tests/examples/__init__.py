"""The examples tell the truth."""
