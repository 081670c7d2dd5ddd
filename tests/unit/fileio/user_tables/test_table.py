"""Round trips of random tables through the csv module and pandas."""

import csv
import io

import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emosphere_sb.fileio.user_tables.table import open_user_table

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12).map(
    str.strip
)
VALUES = st.floats(-1e6, 1e6) | st.integers(-999, 999)
ROWS = st.lists(st.tuples(TEXT, VALUES, VALUES), min_size=1, max_size=6)
NAMES = ("valence", "arousal")


def read(folder, content):
    path = folder / "labels.csv"
    path.write_bytes(content)
    table = open_user_table(
        path,
        is_header={"file", *NAMES}.issubset,
        is_number=NAMES.__contains__,
        is_name="file".__eq__,
    )
    return [(row[0], float(row[1]), float(row[2])) for _, row in table.rows()]


@settings(deadline=None, max_examples=200)
@given(
    ROWS,
    st.sampled_from(",;\t|"),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_round_trip(tmp_path_factory, rows, delimiter, comma, end, encoding, quoting):
    """Any text and any number survive, except numbers that only a person could tell apart."""
    texts = [[repr(float(value)) for value in row[1:]] for row in rows]
    if comma:
        assume(any(len(text.partition(".")[2]) != 3 for row in texts for text in row))
        texts = [[text.replace(".", ",") for text in row] for row in texts]
    # Unusual names: formulas that Excel writes, and names in single quotation marks.
    assume(not any(row[0].startswith(("=", "'")) for row in rows))
    output = io.StringIO(newline="")
    writer = csv.writer(output, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["file", *NAMES])
    writer.writerows([row[0], *text] for row, text in zip(rows, texts, strict=True))
    content = output.getvalue().encode(encoding)
    assert read(tmp_path_factory.mktemp("table"), content) == [
        (name, float(v), float(a)) for name, v, a in rows
    ]


@settings(deadline=None, max_examples=50)
@given(ROWS, st.sampled_from(",;\t|"), st.booleans())
def test_round_trip_of_a_frame(tmp_path_factory, rows, delimiter, index):
    assume(not any(row[0].startswith(("=", "'")) for row in rows))
    frame = pd.DataFrame(rows, columns=["file", *NAMES]).astype(dict.fromkeys(NAMES, float))
    path = tmp_path_factory.mktemp("table") / "labels.csv"
    frame.to_csv(path, sep=delimiter, index=index)
    table = open_user_table(
        path,
        is_header={"file", *NAMES}.issubset,
        is_number=NAMES.__contains__,
        is_name="file".__eq__,
    )
    start = table.header.index("file")
    found = [(r[start], float(r[start + 1]), float(r[start + 2])) for _, r in table.rows()]
    assert found == [(name, float(v), float(a)) for name, v, a in rows]
