"""One module a family of encoders, found by its file's name: ``Options``, ``VERSION`` and ``load``.

``Options`` is a dataclass of ``unheard.encoders.contract.Settings``, ``VERSION`` the version of the code that
computes, and ``load(options)`` gives the encoder. A module is imported when its family is named, and imports
what is heavy (torch) in ``load``.
"""
