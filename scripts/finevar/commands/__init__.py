"""What rules and people call: each reads files, calls the packages below, and writes files."""
