"""A local web page on which a person judges the findings."""
