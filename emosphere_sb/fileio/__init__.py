"""Atomic writes, file locks and checksums. Requires neither torch nor numpy.

=======================================  ==========================================================
:mod:`emosphere_sb.fileio.atomic`        ``atomic_write``, ``atomic_file``, and the functions they
                                         are built from: ``fsync_path``, ``atomic_replace``
:mod:`emosphere_sb.fileio.atomic_folder` ``atomic_folder``
:mod:`emosphere_sb.fileio.json_file`     ``read_json_mapping`` and ``make_folder``
:mod:`emosphere_sb.fileio.lock`          ``file_lock``; the only module that requires ``filelock``
=======================================  ==========================================================
"""
