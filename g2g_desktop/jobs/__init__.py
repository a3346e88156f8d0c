"""Work beside the window: threads, their progress and what an interruption left."""
