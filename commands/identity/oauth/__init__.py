"""OAuth as apps and televisions speak it: refreshed tokens, codes entered elsewhere, and the documents about both."""
