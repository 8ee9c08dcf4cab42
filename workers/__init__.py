"""Ray: the actors that do the work of each stage, the pools they form and the pipeline that feeds them."""
