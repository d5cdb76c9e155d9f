"""What the payment provider tells the commands API."""
