"""What needs neither a store nor a clock."""
