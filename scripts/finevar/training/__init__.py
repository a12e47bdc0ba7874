"""The training loop, its steps, its state, and how it goes on from one."""
