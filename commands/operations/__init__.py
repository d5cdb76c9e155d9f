"""What operators command: dead letters that are tried again, or discarded, and versions of views."""
