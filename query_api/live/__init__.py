"""Live dashboards: samples of what happens now, sent as server-sent events as they are taken. docs/live.md"""
