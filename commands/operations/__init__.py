"""What operators command: dead letters that are tried again, or discarded."""
