"""Events of the past, any number in a request: imported by a server, or played offline and reported days later."""
