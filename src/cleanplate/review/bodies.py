"""What requests carry, for FastAPI to check and to describe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: A photograph's id.
PhotoId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
MOST_IDS = 10_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AgainBody(_Body):
    """How a photograph is done again; what is left out is as in the run."""

    method: str | None = Field(default=None, max_length=100)
    threshold: float | None = Field(default=None, ge=0, lt=1)
    mask: bool = False


class ApplyBody(_Body):
    """How the painted mask is given to others; ids: some of those that are alike."""

    method: str | None = Field(default=None, max_length=100)
    ids: list[PhotoId] | None = Field(default=None, max_length=MOST_IDS)


class ApproveBody(_Body):
    """Photographs whose results are good."""

    ids: list[PhotoId] = Field(max_length=MOST_IDS)
