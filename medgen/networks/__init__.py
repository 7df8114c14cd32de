"""Networks that MONAI lacks, one a file."""
