"""A server that answers over HTTP as the library does; docs/serving.md is its page.

``app.create_app`` makes the application of a bundle, ``limits.Limits`` and the keys of those who may ask;
``running.run`` serves it with uvicorn. Uploads stay in memory, and nothing of them is kept but voice profiles.
"""
