"""The XML of a HIT's question: which kind it is, checked before a HIT is made of it."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from xml.etree import ElementTree

from evaluation.sandbox.errors import invalid, request_error
from evaluation.services.web import is_count

SCHEMAS = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/"
MAX_BYTES = 65_535
NO_FILE_UPLOAD = "FileUploadAnswer was removed by Amazon in 2017 and is not supported"


@dataclass(frozen=True)
class Question:
    """A HIT's question. `content` is the URL of an external one, the HTML, or the form's XML."""

    kind: Literal["ExternalQuestion", "HTMLQuestion", "QuestionForm"]
    content: str
    frame_height: int


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, and with it every entity, before it is read."""

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise ValueError("a document type is not allowed")


def parse_xml(document: str, parameter: str) -> ElementTree.Element:
    """Parse XML from a requester. Document types are refused: nothing here needs entities.

    Raises:
        ApiError: XMLParseError.
    """
    parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314 (no DTD gets through)
    try:
        parser.feed(document.strip())
        return parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise request_error("XMLParseError", f"{parameter}: {error}") from error


def local_name(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def child_text(element: ElementTree.Element, name: str) -> str | None:
    """The text of the first child of that name, whatever its namespace."""
    for child in element:
        if local_name(child) == name:
            return (child.text or "").strip()
    return None


def read_question(document: str) -> Question:
    """Parse and check a question.

    Raises:
        ApiError: not XML, not one of the three kinds, too large, or without what it needs.
    """
    if len(document.encode()) > MAX_BYTES:
        raise invalid("Question", f"must not be longer than {MAX_BYTES} bytes")
    root = parse_xml(document, "Question")
    kind = local_name(root)
    if not root.tag.startswith("{" + SCHEMAS):
        raise request_error("XMLParseError", f"Question: {root.tag} is of no known schema")
    if kind == "QuestionForm":
        return Question("QuestionForm", document, 0)
    if kind == "ExternalQuestion":
        url = child_text(root, "ExternalURL") or ""
        if not _is_web_address(url):
            raise invalid("Question", f"ExternalURL {url!r} is not an http or https URL")
        return Question("ExternalQuestion", url, _frame_height(root))
    if kind == "HTMLQuestion":
        html = child_text(root, "HTMLContent")
        if not html:
            raise invalid("Question", "HTMLContent is empty")
        return Question("HTMLQuestion", html, _frame_height(root))
    raise request_error("XMLParseError", f"Question: unknown question {kind}")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # of brackets that do not close, or letters that no host has
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _frame_height(root: ElementTree.Element) -> int:
    """The frame's height in CSS pixels; 0 leaves it to the page."""
    text = child_text(root, "FrameHeight")
    if text is None or not is_count(text):  # both schemas require it
        raise invalid("Question", f"FrameHeight must be a whole number, not {text!r}")
    return int(text)
