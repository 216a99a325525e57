"""The read side: what the log and a snapshot tell, as plain data for the command line and others."""
