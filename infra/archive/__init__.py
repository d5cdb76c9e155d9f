"""The archive: every topic's records in Parquet, for rebuilds and for those who ask what happened."""
