"""The training of what is bundled with the program."""
