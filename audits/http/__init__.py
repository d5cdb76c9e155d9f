"""What auditors ask over HTTP: a module a kind of question, and what bounds them all."""
