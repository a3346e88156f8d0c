"""What the window knows, without widgets: the session, what can be done, what is shown."""
