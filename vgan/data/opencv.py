"""OpenCV as the rest of the package imports it.

Without its type stubs: they lack SIFT, and give every picture a type of its own that fits no other.
"""

from importlib import import_module
from typing import Any

cv2: Any = import_module("cv2")
