"""What is particular to one store: bells, URLs and the file."""
