"""What a rule's process shares: its log and signals, the worker that it is forked from, work that is finished."""
