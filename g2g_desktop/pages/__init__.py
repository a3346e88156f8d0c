"""What fills the window: start, loading, progress, menus."""
