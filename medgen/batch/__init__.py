"""Many scans: run a bundle over them, evaluate what came out, picture it."""
