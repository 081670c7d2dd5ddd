"""The subcommands of ``emosphere``: ``commands/predict.py`` is ``emosphere predict``, and so on."""
