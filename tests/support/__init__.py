"""What tests share: made-up scenes, tiny jobs, and commands started as processes of their own."""
