"""One call of the MTurk API at a time: its pages, its failures and what they mean for us."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from evaluation.crowd.base import CrowdError, CrowdGone, CrowdUnreachable

_LARGEST_PAGE = 100


class Calls:
    """Makes calls with a boto3 client and turns every failure into CrowdError or CrowdUnreachable.

    Args:
        client: boto3's, for `mturk`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Return the reply to an operation, by boto3's name of it.

        Raises:
            CrowdError: refused. CrowdUnreachable: unknown whether it was done.
        """
        endpoint = self._client.meta.endpoint_url
        try:
            reply: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            raise _refusal(operation, error) from None
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise CrowdError(
                f"{endpoint}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        except (ConnectionError, HTTPClientError) as error:
            raise CrowdUnreachable(
                f"{endpoint} did not answer {operation} ({type(error).__name__}); when it is up "
                "again, run the same command again: nothing is done twice"
            ) from error
        except BotoCoreError as error:
            raise CrowdError(f"{operation} cannot be sent: {error}") from error
        return reply

    def answer(self, operation: str, key: str, **arguments: Any) -> Any:
        """Call, and return one key of the reply. A reply without it is not the MTurk API's."""
        return _needed(self.call(operation, **arguments), operation, key)

    def pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield what a list operation lists, page after page."""
        token: str | None = None
        while True:
            extra = {"NextToken": token} if token else {}
            reply = self.call(operation, MaxResults=_LARGEST_PAGE, **arguments, **extra)
            yield from _needed(reply, operation, key)
            token = reply.get("NextToken")
            if not token:
                return


def _needed(reply: dict[str, Any], operation: str, key: str) -> Any:
    """Return a key of a reply. boto3 reads any page at all as an empty reply."""
    if key not in reply:
        raise CrowdUnreachable(
            f"the reply to {operation} has no {key}, so it is not the MTurk API's; does the "
            "endpoint's URL name the right service?"
        )
    return reply[key]


def _refusal(operation: str, error: ClientError) -> CrowdError | CrowdUnreachable:
    response: dict[str, Any] = dict(error.response)
    details: dict[str, Any] = response.get("Error", {})
    code = str(response.get("TurkErrorCode") or details.get("Code", ""))
    text = str(response.get("Message") or details.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    if status >= 500 or code == "ThrottlingException":
        return CrowdUnreachable(
            f"the service failed at {operation} ({code}); run the same command again later"
        )
    if code.endswith("InsufficientFunds"):
        return CrowdError(f"{operation}: not enough money in the account ({text})")
    kind = CrowdGone if code.endswith(".HITDoesNotExist") else CrowdError
    return kind(f"{operation} was refused: {text} ({code})")
