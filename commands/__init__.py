"""The write side: HTTP commands that become events."""
