"""Atomic writes, file locks, checksums, paths and tables. Requires neither torch nor numpy.

===========================================  ======================================================
:mod:`emosphere_sb.fileio.atomic`            ``atomic_write``, ``atomic_file``, and the functions
                                             they are built from: ``fsync_path``, ``atomic_replace``
:mod:`emosphere_sb.fileio.atomic_folder`     ``atomic_folder``
:mod:`emosphere_sb.fileio.audio_digests`     ``audio_digests`` reads each unchanged audio file once
:mod:`emosphere_sb.fileio.checked_lines`     append-only files of JSON lines with checksums
:mod:`emosphere_sb.fileio.csv_cells`         cells that spreadsheets do not run as formulas
:mod:`emosphere_sb.fileio.interrupts`        ``defer_interrupt`` delays Ctrl-C during a block
:mod:`emosphere_sb.fileio.json_file`         ``read_json_mapping`` and ``make_folder``, with errors
                                             that name the path and a remedy
:mod:`emosphere_sb.fileio.lock`              ``file_lock``; the only module that uses ``filelock``
:mod:`emosphere_sb.fileio.path_index`        ``PathIndex`` finds files whose paths are spelt
                                             differently in a table
:mod:`emosphere_sb.fileio.user_tables`       ``open_user_table`` detects the dialect of a table
:mod:`emosphere_sb.fileio.yaml_tree`         YAML files as nodes with line numbers
===========================================  ======================================================
"""
