"""The pages: report, design card, paper kit."""
