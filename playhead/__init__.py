"""The command line, the processes and the demo."""
