"""The only code that knows file formats: find scans, read them for certain or refuse, write them whole or not at all."""

from medgen.scans.find import Case, Found, find
from medgen.scans.nifti_write import write_nifti
from medgen.scans.read import read
from medgen.scans.scan import Scan, ScanError

__all__ = ["Case", "Found", "Scan", "ScanError", "find", "read", "write_nifti"]
