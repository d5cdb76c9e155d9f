"""Payments: the port to a payment provider, its HTTP adapter, its webhooks, and a fake of it for logic tests."""
