"""Label maps of the brain and head: the numbers they use, and what can be changed in them."""
