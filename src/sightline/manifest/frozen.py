"""What all parts of a manifest are: frozen, without unknown keys, with finite numbers."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A value that is checked when it is made and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
