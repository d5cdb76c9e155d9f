"""The subscription context: plans, subscriptions, payments and purchases. Handle lane: the event log decides."""
