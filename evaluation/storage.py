"""Where encoded clips lie: a local folder that the app serves, or a private S3 bucket.

Keys are opaque (lower-case hexadecimal), so nothing about a clip can be read from a path or URL.
This is one of the two modules that may import boto3, and only when an `s3://` store is opened.
"""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from evaluation.errors import EvaluationError, UsageError
from evaluation.files import write_atomic

_KEY = re.compile(r"[0-9a-f]{16,64}")
_FORBIDDEN = 403
_RIGHTS = (
    "; see to the credentials, and let them s3:ListBucket on the bucket, and s3:GetObject and "
    "s3:PutObject on what is in it"
)
_BASE_URL = re.compile(r"https?://[\w.:-]+(/[^?#;\s]*)?", re.ASCII)  # it becomes part of a policy
_PRESIGNED_S = 86_400  # how long such a URL works: longer than any session's lease
IMMUTABLE = "public, max-age=31536000, immutable"


class MediaStore(Protocol):
    """Holds encoded clips under opaque keys."""

    def probe(self) -> None:
        """Refuse a store that takes nothing, before work is done for it: EvaluationError."""

    def put(self, key: str, data: bytes, mime: str) -> None:
        """Store a file whole or not at all; the same key again replaces it."""

    def get(self, key: str) -> bytes:
        """Return a file's bytes. Raises EvaluationError when there is none."""

    def exists(self, key: str) -> bool:
        """Tell whether a file is stored under this key."""

    def url(self, key: str) -> str | None:
        """Return where a browser fetches the file; None when the app serves it at /media/KEY."""

    def origin(self) -> str | None:
        """Return scheme and host of `url`, for the page's content security policy."""

    def scratch(self) -> Path:
        """Return a folder on this machine for half-made files, kept when a run is interrupted."""


def _checked(key: str) -> str:
    """Return the key. Anything but hexadecimal digits could walk out of the folder."""
    if not _KEY.fullmatch(key):
        raise EvaluationError(f"{key!r} is not a media key (16 to 64 digits 0-9a-f)")
    return key


class LocalStore:
    """A folder on this machine; the rating app serves it.

    Args:
        folder: made when the first file is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"LocalStore({str(self.folder)!r})"

    def _path(self, key: str) -> Path:
        return self.folder / _checked(key)

    def probe(self) -> None:
        """Do nothing: the folder is made when the first file is stored."""

    def put(self, key: str, data: bytes, mime: str) -> None:
        """Store a file atomically. The mime type is in the database, beside the key."""
        write_atomic(self._path(key), data)

    def get(self, key: str) -> bytes:
        """Return a file's bytes.

        Raises:
            EvaluationError: there is none under this key.
        """
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise EvaluationError(
                f"{self.folder}: holds no media {key[:16]}...; is this the folder the study was "
                "made with?"
            ) from None

    def exists(self, key: str) -> bool:
        """Tell whether a file is stored under this key."""
        return self._path(key).is_file()

    def check_holds(self, keys: Collection[str]) -> None:
        """Look whether all these files are there, by the folder's listing, and may be read.

        Raises:
            EvaluationError: some are not, as where a database was copied without its folder, or
                may not, as where another user ran `init`.
        """
        try:
            held = {file.name: os.access(file, os.R_OK) for file in self.folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            held = {}
        except PermissionError:
            held = dict.fromkeys(keys, False)
        if missing := len(set(keys) - held.keys()):
            raise EvaluationError(
                f"{self.folder}: {missing:,} of the study's {len(keys):,} encoded clips are not in "
                "it, and pages would wait for them for ever; copy it from where `init` ran (a .db "
                "goes with its .db.key and its .files folder), or name it by --files or --media"
            )
        if closed := sum(not held[key] for key in set(keys)):
            raise EvaluationError(
                f"{self.folder}: {closed:,} of the study's {len(keys):,} encoded clips cannot be "
                "read by the user who runs this; let it read them (chown -R, or chmod -R a+rX)"
            )

    def url(self, key: str) -> None:
        """Return None: the app serves these files."""

    def origin(self) -> None:
        """Return None: the files come from the app's own origin."""

    def scratch(self) -> Path:
        """Return a hidden folder inside the store."""
        return self.folder / ".encoded"


class S3Store:
    """A private S3 bucket, read by browsers through presigned URLs or a CDN before it.

    Credentials, region and a different endpoint come from the environment, as for any boto3
    program (`AWS_ENDPOINT_URL_S3` for a server that only speaks the API).

    Args:
        bucket: must exist; it may stay private.
        prefix: put before every key, without slashes at its ends; empty for none.
        base_url: of a CDN that serves the bucket's root; without it, URLs are presigned.

    Raises:
        UsageError: boto3 is not installed, or takes a profile, region or endpoint for none.
    """

    def __init__(self, bucket: str, prefix: str = "", *, base_url: str | None = None) -> None:
        try:
            # The one door to S3; not at the top, so that a study on a folder needs no boto3.
            import boto3  # noqa: TID251 (this file is the door)
            from botocore.config import Config
        except ImportError:
            raise UsageError(
                "s3:// media need boto3: python -m pip install 'vgan-eval[aws]'"
            ) from None
        self.bucket = bucket
        self.prefix = prefix
        self._base_url = base_url.rstrip("/") if base_url else None
        # Signature version 4 in path style works for every region and for other servers too.
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        with self._usable_settings():
            self._client: Any = boto3.client("s3", config=config)

    def __repr__(self) -> str:
        return f"S3Store({self.bucket!r}, {self.prefix!r})"

    @contextmanager
    def _usable_settings(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError

        try:
            yield
        except (BotoCoreError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(
                f"s3://{self.bucket}: the AWS settings cannot be used: {reason}; see to "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), AWS_DEFAULT_REGION and "
                "AWS_ENDPOINT_URL_S3"
            ) from None

    def _name(self, key: str) -> str:
        return f"{self.prefix}/{_checked(key)}" if self.prefix else _checked(key)

    def _call(self, operation: str, **arguments: Any) -> Any:
        """Call S3; turn its failures into one line."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(Bucket=self.bucket, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in {"404", "NoSuchKey"}:
                raise FileNotFoundError from error
            denied = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _FORBIDDEN
            raise EvaluationError(
                f"s3://{self.bucket}: {operation} was refused ({code}){_RIGHTS if denied else ''}"
            ) from None
        except BotoCoreError as error:
            raise EvaluationError(f"s3://{self.bucket}: {operation} failed: {error}") from None

    def probe(self) -> None:
        """Ask for the bucket.

        Raises:
            EvaluationError: there is none, there are no credentials, or S3 refuses them.
        """
        try:
            self._call("head_bucket")
        except FileNotFoundError:
            raise EvaluationError(f"s3://{self.bucket}: no such bucket; make it first") from None

    def put(self, key: str, data: bytes, mime: str) -> None:
        """Store an object with its mime type and an immutable cache rule."""
        self._call(
            "put_object",
            Key=self._name(key),
            Body=data,
            ContentType=mime,
            CacheControl=IMMUTABLE,
        )

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            EvaluationError: there is none under this key, or S3 refuses.
        """
        try:
            data: bytes = self._call("get_object", Key=self._name(key))["Body"].read()
        except FileNotFoundError:
            raise EvaluationError(f"s3://{self.bucket}: holds no {self._name(key)}") from None
        return data

    def exists(self, key: str) -> bool:
        """Tell whether an object is stored under this key."""
        try:
            self._call("head_object", Key=self._name(key))
        except FileNotFoundError:
            return False
        return True

    def url(self, key: str) -> str:
        """Return the CDN's URL, or a presigned one (signing asks no server)."""
        if self._base_url:
            return f"{self._base_url}/{self._name(key)}"
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": self._name(key)},
            ExpiresIn=_PRESIGNED_S,
        )
        return url

    def origin(self) -> str:
        """Return scheme and host of the URLs.

        Raises:
            UsageError: there are no credentials to sign them with.
        """
        with self._usable_settings():
            parts = urlsplit(self.url("0" * 64))
        return f"{parts.scheme}://{parts.netloc}"

    def scratch(self) -> Path:
        """Return a folder in the user's cache, one per bucket and prefix."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "vgan-eval" / self.bucket / (self.prefix or "-")

    def cors_rule(self, page_origin: str) -> dict[str, Any]:
        """Return the CORS rule that lets pages of one origin read the clips' pixels."""
        return {
            "CORSRules": [
                {
                    "AllowedOrigins": [page_origin],
                    "AllowedMethods": ["GET"],
                    "AllowedHeaders": ["*"],
                    "MaxAgeSeconds": 86_400,
                }
            ]
        }


def open_store(spec: str) -> MediaStore:
    """Open a store by name.

    Args:
        spec: a folder, or `s3://bucket/prefix`, optionally with `?base_url=https://cdn.example`.

    Raises:
        UsageError: the spec is empty, names no bucket, is of another kind, or the AWS settings
            cannot be used.
    """
    if not spec:
        raise UsageError("the media store is empty: name a folder or s3://bucket/prefix")
    if spec.startswith("s3://"):
        parts = urlsplit(spec)
        if not parts.netloc:
            raise UsageError(f"{spec}: names no bucket; write s3://bucket/prefix")
        base_url = parse_qs(parts.query).get("base_url", [""])[0]
        if parts.query and not _BASE_URL.fullmatch(base_url):
            raise UsageError(f"{spec}: write s3://bucket/prefix?base_url=https://cdn.example")
        return S3Store(parts.netloc, parts.path.strip("/"), base_url=base_url or None)
    if "://" in spec:
        raise UsageError(f"{spec}: media lie in a folder or under s3://bucket/prefix")
    return LocalStore(Path(spec))
