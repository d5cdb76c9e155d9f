"""Reads of the subscription context: plans, subscriptions, entitlements, invoices, transactions and history."""

TOPIC = "subscription.events"
