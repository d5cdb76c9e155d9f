"""Common Media Client Data: what players of other makers say about themselves (CTA-5004 v1, CTA-5004-B v2). Pure."""
