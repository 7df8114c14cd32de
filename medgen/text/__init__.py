"""A sentence to what is to be scanned: `parse` reads English and Chinese into a `ScanSpec`, by rules alone."""
