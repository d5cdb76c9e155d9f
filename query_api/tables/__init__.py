"""What every listing and table of the query API can do: its rows as JSON, CSV or JSON Lines, only some of their fields,
and all of them in one reply. docs/querying.md says it to clients.
"""
