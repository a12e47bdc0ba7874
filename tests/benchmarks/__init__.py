"""Timings, printed and never asserted: machines differ and are shared."""
