"""The files of other programs, a module a family: what is in them, and planes on request."""
