"""Stacks and tiles on other computers, by dask.distributed; what is lost there is done again."""
