"""Foreign words in Markdown."""

import re

from stages.core.errors import one_line

TAG = re.compile(r"<(?=[A-Za-z/!?])")
LOOK_ALIKES = str.maketrans({"`": "'", "|": "/"})


def as_text(value: object) -> str:
    """A foreign name or sentence that is shown as text, in prose, in a table and between marks of code.

    It makes no tag, link, image, column, code or line of its own.
    """
    return TAG.sub("&lt;", one_line(value).translate(LOOK_ALIKES).replace("](", "] ("))
