"""Atomic writes, file locks, checksums, paths and tables. Requires neither torch nor numpy.

===========================================  ======================================================
:mod:`emosphere_sb.fileio.atomic`            ``atomic_write``, ``atomic_file``, and the functions
                                             they are built from: ``fsync_path``, ``atomic_replace``
:mod:`emosphere_sb.fileio.atomic_folder`     ``atomic_folder``
:mod:`emosphere_sb.fileio.lock`              ``file_lock``; the only module that requires
                                             ``filelock``
:mod:`emosphere_sb.fileio.path_index`        ``PathIndex`` finds files whose paths are spelt
                                             differently in a table
:mod:`emosphere_sb.fileio.user_tables`       ``open_user_table`` detects the dialect of a table
===========================================  ======================================================
"""
