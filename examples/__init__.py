"""Runnable stories; each is shown without the guard first."""
