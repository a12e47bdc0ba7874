"""From a study's runs to tidy tables, one module an analysis."""
