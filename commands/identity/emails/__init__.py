"""Mail on its way: rows written with the commands that cause them, and the rounds that send them."""
