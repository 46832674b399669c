"""Fields that the params of every source share."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
SourceName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_]+$", max_length=40),
    Field(description="names the source in ids, speakers and folders; unique"),
]
Role = Annotated[
    Literal["target", "base"], Field(description="the language to learn, or ones that the base speaks already")
]
