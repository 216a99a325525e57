"""What tells others of what happens: hooks that observe, and never decide."""
