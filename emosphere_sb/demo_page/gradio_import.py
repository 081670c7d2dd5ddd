"""The import of Gradio."""

import os
from typing import Any


def gradio() -> Any:
    """The module Gradio, which sends nothing to its makers.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            f"The page needs Gradio: pip install 'emosphere-sb[page]' ({error})."
        ) from error
    return gradio
