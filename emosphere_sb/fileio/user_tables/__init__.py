"""Read tables that a user provides, as spreadsheets and statistics packages write them.

================================================  ================================================
:mod:`emosphere_sb.fileio.user_tables.table`      ``open_user_table``, which detects the dialect
:mod:`emosphere_sb.fileio.user_tables.encoding`   character encoding and file format
:mod:`emosphere_sb.fileio.user_tables.dialect`    delimiter, quotation marks and header
:mod:`emosphere_sb.fileio.user_tables.decimals`   decimal mark
:mod:`emosphere_sb.fileio.user_tables.checks`     names, row names and decimal mark of the values
:mod:`emosphere_sb.fileio.user_tables.workbook`   Excel workbooks, which require ``openpyxl``
================================================  ================================================
"""
