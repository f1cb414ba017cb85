"""A stateful service that speaks Mechanical Turk's requester API, with a site for workers.

Amazon closed Mechanical Turk on 30 September 2026. Unmodified boto3 drives this service through
`AWS_ENDPOINT_URL_MTURK`. It keeps the books of what is owed; it moves no money. It needs botocore,
which comes with `pip install "vgan-eval[aws]"`.
"""

from evaluation.sandbox.service import create_service, serve_sandbox
from evaluation.sandbox.state import Sandbox

__all__ = ["Sandbox", "create_service", "serve_sandbox"]
