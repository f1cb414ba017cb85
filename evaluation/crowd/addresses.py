"""Where the bundled services are on this machine, and what opens them; known to everybody."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SANDBOX_PORT = 8900
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}"
SANDBOX_KEY = "VGANEVALSANDBOX"  # the requester's account there, the same on every run
PROLIFIC_SANDBOX_PORT = 8910
PROLIFIC_SANDBOX_URL = f"http://127.0.0.1:{PROLIFIC_SANDBOX_PORT}/api/v1/"
PROLIFIC_SANDBOX_TOKEN = "vgan-eval-sandbox"  # noqa: S105 (known to everybody)
