"""Import Gradio with analytics disabled."""

import os
from typing import Any


def import_gradio() -> Any:
    """Import and return the module ``gradio``, with analytics disabled.

    Raises
    ------
    ImportError
        If Gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read during the import
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            f"The demo page requires Gradio ({error}). Install it with: pip install "
            f"'emosphere-sb[page]'."
        ) from error
    return gradio
