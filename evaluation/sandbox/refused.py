"""Operations that this service does not do; each says so, after the checks that it can make."""

from typing import Any

from evaluation.sandbox import assignments, hits
from evaluation.sandbox.errors import not_supported
from evaluation.sandbox.questions import NO_FILE_UPLOAD
from evaluation.sandbox.registry import Call, Support, operation


@operation(
    "GetFileUploadURL",
    Support.REFUSED,
    "Amazon took FileUploadAnswer out in 2017; an unknown assignment is still told so.",
)
def get_file_upload_url(call: Call) -> dict[str, Any]:
    """Refuse: no question here can have an uploaded file."""
    assignments.find(call)
    raise not_supported("GetFileUploadURL", NO_FILE_UPLOAD)


@operation(
    "ListReviewPolicyResultsForHIT",
    Support.REFUSED,
    "CreateHIT refuses review policies, so there are no results.",
)
def list_review_policy_results_for_hit(call: Call) -> dict[str, Any]:
    """Refuse: no HIT here can have a review policy."""
    hits.find(call, call.params["HITId"])
    raise not_supported("ListReviewPolicyResultsForHIT", "HITs have no review policies")
