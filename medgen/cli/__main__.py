"""python -m medgen.cli"""

from medgen.cli import app

app()
