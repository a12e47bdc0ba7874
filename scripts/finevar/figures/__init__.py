"""One module a figure: chart, title, caption and text for those who do not see it."""
