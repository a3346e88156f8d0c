"""The command `g2g`: arguments in, exit codes out."""
