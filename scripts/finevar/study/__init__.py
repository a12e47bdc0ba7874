"""A config checked and planned: factors, design, runs, ids and where their files lie."""
