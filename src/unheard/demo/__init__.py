"""A page in the browser on which a bundle is tried (Gradio), and the folder that runs it as a Hugging Face Space.

``page.build`` makes the page, ``answers`` what is written on it, ``space.write`` the folder (docs/demo.md).
"""

import os
from tempfile import TemporaryDirectory

#: Where files lie that people send: for the owner of this process alone, and gone when it ends.
PRIVATE = TemporaryDirectory(prefix="unheard-demo-")
# Gradio reads these when it is imported: it tells nobody that it is used, and puts no file elsewhere.
os.environ["GRADIO_TEMP_DIR"] = PRIVATE.name
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
