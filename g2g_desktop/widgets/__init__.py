"""Parts of windows that know nothing of stacks: labels, steps, the theme."""
