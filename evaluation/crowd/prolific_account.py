"""What a researcher on Prolific has beside studies: a workspace that pays, and groups."""

from evaluation.crowd.base import CrowdError
from evaluation.crowd.prolific_calls import Calls


class Account:
    """The workspace and its participant groups, looked up once each.

    Args:
        calls: to the API.
        workspace: its id; empty takes the account's only one.
    """

    def __init__(self, calls: Calls, workspace: str = "") -> None:
        self._calls = calls
        self._workspace = workspace
        self._groups: dict[str, str] = {}

    def workspace(self) -> str:
        """Return the id of the workspace that pays: the only one, unless one is named.

        Raises:
            CrowdError: there are several.
        """
        if not self._workspace:
            # This list counts in limits and offsets, not in pages; one full answer is enough.
            query = {"limit": "100"}
            found = self._calls.having("results", "GET", "workspaces/", query=query)["results"]
            if len(found) != 1:
                names = ", ".join(f"{one.get('title')} = {one['id']}" for one in found)
                raise CrowdError(
                    f"the account has {len(found)} workspaces; put the id of one into "
                    f"PROLIFIC_WORKSPACE: {names or 'none at all'}"
                )
            self._workspace = str(found[0]["id"])
        return self._workspace

    def group(self, name: str) -> str:
        """Return the id of our participant group of this name, made on first use."""
        if name not in self._groups:
            query = {"workspace_id": self.workspace(), "limit": "1000"}
            reply = self._calls.having("results", "GET", "participant-groups/", query=query)
            rows = reply["results"]
            known = next((str(row["id"]) for row in rows if row["name"] == name), None)
            if known is None:
                body = {"name": name, "workspace_id": self.workspace()}
                known = str(self._calls.having("id", "POST", "participant-groups/", body)["id"])
            self._groups[name] = known
        return self._groups[name]
