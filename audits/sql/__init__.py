"""SQL over the archive, for auditors: DuckDB, which can read what is archived and nothing else, and write nothing."""
