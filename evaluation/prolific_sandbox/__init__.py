"""A fake of Prolific's REST API on this machine, with a site where participants take part.

Built from the API's published schema and errors; docs/prolific.md says what it leaves out. It keeps
the books of what is owed and moves no money. Nothing leaves the machine.
"""

from evaluation.prolific_sandbox.service import create_service, serve_prolific_sandbox
from evaluation.prolific_sandbox.state import Sandbox

__all__ = ["Sandbox", "create_service", "serve_prolific_sandbox"]
