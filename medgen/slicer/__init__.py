"""3D Slicer: command-line modules generated from medgen's own options, and the scripted module MedGen."""
