"""Mail: the port that letters leave by, and its adapters. Files by default, SMTP where a server is configured."""
