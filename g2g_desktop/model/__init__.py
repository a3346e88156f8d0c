"""What the window knows, without Qt: the session, what can be done, what is shown."""
