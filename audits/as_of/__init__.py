"""What was so at a time (ADR 30): the state of a stream, a subscription, a title, who was entitled to what, a row of a
view; each with the events that made it. Pure, but for what reads the history.
"""
