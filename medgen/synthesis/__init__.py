"""From words to a scan, and back: what a sentence orders is built, and what a scan shows is measured."""
