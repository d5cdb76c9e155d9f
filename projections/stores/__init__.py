"""Where views are kept: one adapter a store, and one in memory beside them."""
