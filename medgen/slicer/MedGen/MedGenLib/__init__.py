"""What is behind the module MedGen. Only `settings` imports qt, and nothing medgen: torch stays out of Slicer's Python."""  # noqa: N999
