"""The method as published: its networks' game and its pairs."""
