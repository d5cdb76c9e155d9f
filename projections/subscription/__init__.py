"""The subscription context's views, all in Postgres: money wants exact tables."""
