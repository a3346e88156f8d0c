"""The machine: device, memory, tiles, the optimiser's step and the checkpoints of a job."""
