"""Damaged label files must result in a clear error, a rejection, or unchanged labels.

The hundreds of mutants simulate accidents: a truncated copy, a file saved by a spreadsheet, a wrong
encoding. Undetectable damage, such as one digit in place of another, is not included.
"""

import random
import re
from collections import Counter

MUTANTS = 300

NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?!\w)|(?<=val )\d|(?<=act )\d|(?<=dom  )\d")
NO_NUMBERS = [
    "abc",
    "--",
    "1,5",
    "1.2.3",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "0x3",
    "#REF!",
    "٣",
    "1_0",
]
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp500", "utf-7"]
ENDS = ["\r\n", "\r", "\n\r\n", "\r\r\n", "\x85", "\x0b", "\u2028", " \n", " "]
SIGNS = ["é", "Ж", "語", '"', "'", "\0", "\ufffd", "\ud800", "$data_root", "\ufeff", "\t", ";", ","]


def change_line(text, rng, change):
    """Change one line that is not blank."""
    lines = text.split("\n")
    k = rng.choice([k for k, line in enumerate(lines) if line.strip()])
    lines[k : k + 1] = change(lines[k])
    return "\n".join(lines)


def truncate_file(text, rng, case):
    return text[: rng.randrange(len(text))]


def truncate_line(text, rng, case):
    return change_line(text, rng, lambda line: [line[: rng.randrange(len(line))]])


def remove_beginning(text, rng, case):
    return text[rng.randrange(1, len(text)) :]


def delete_line(text, rng, case):
    return change_line(text, rng, lambda line: [])


def duplicate_line(text, rng, case):
    return change_line(text, rng, lambda line: [line, line])


def join_lines(text, rng, case):
    places = [match.start() for match in re.finditer("\n(?=.)", text)]
    place = rng.choice(places)
    return text[:place] + text[place + 1 :]


def blank_line(text, rng, case):
    return change_line(text, rng, lambda line: ["", line])


def swap_columns(text, rng, case):
    """Swap two parts of a line, but not two numbers, because this cannot be detected."""

    def swap(line):
        parts = line.split(case.separator)
        pairs = [
            (i, j)
            for j in range(len(parts))
            for i in range(j)
            if not (NUMBER.fullmatch(parts[i].strip()) and NUMBER.fullmatch(parts[j].strip()))
        ]
        if line == text.split("\n")[0] or not pairs:
            return [line]
        i, j = rng.choice(pairs)
        parts[i], parts[j] = parts[j], parts[i]
        return [case.separator.join(parts)]

    return change_line(text, rng, swap)


def delete_column(text, rng, case):
    def delete(line):
        parts = line.split(case.separator)
        del parts[rng.randrange(len(parts))]
        return [case.separator.join(parts)]

    return change_line(text, rng, delete)


def swap_entire_columns(text, rng, case):
    """Swap two columns with their names; without names, swap columns of different types."""
    rows = [line.split(case.separator) for line in text.split("\n")]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    i, j = sorted(rng.sample(range(width), 2))
    for row in rows:
        if len(row) == width:
            row[i], row[j] = row[j], row[i]
    return "\n".join(case.separator.join(row) for row in rows)


def replace_number(text, rng, new):
    found = rng.choice(list(NUMBER.finditer(text)))
    return text[: found.start()] + new + text[found.end() :]


def blank_value(text, rng, case):
    return replace_number(text, rng, rng.choice(["", " ", "  "]))


def replace_number_with_text(text, rng, case):
    return replace_number(text, rng, rng.choice(NO_NUMBERS))


def move_value_off_scale(text, rng, case):
    return replace_number(text, rng, rng.choice(["0.0", "-3.5", "99.0", "1e300"]))


def change_separator(text, rng, case):
    old = rng.choice([case.separator, ":", "[", "]", " "])
    new = rng.choice([",", ";", "\t", " ", "|", ""])
    if rng.random() < 0.3:
        return text.replace(old, new)
    return change_line(text, rng, lambda line: [line.replace(old, new)])


def change_encoding(text, rng, case):
    return text.encode(rng.choice(ENCODINGS))


def insert_unusual_character(text, rng, case):
    place = rng.randrange(len(text))
    text = text[:place] + rng.choice(SIGNS) + text[place:]
    return text.encode(rng.choice(["utf-8", "latin-1", "cp1251"]), "replace")


def change_line_endings(text, rng, case):
    end = rng.choice(ENDS)
    return text.replace("\n", end) if rng.random() < 0.7 else text.replace("\n", end, 1)


def insert_huge_line(text, rng, case):
    piece = rng.choice(["x", "1", ";", ",", "[", '"', "A:1;", " ", "é", "\t", "_F"])
    huge = piece * rng.randrange(150_000, 250_000)
    if rng.random() < 0.5:
        return change_line(text, rng, lambda line: [line, huge])
    return change_line(text, rng, lambda line: [line + huge])


def empty_file(text, rng, case):
    junk = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 400)))
    return rng.choice([b"", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf", b"\0" * 50, junk, junk])


MUTATIONS = [
    truncate_file,
    truncate_line,
    truncate_line,
    remove_beginning,
    delete_line,
    duplicate_line,
    join_lines,
    blank_line,
    swap_columns,
    swap_columns,
    swap_entire_columns,
    delete_column,
    blank_value,
    blank_value,
    replace_number_with_text,
    replace_number_with_text,
    replace_number_with_text,
    move_value_off_scale,
    change_separator,
    change_separator,
    change_encoding,
    insert_unusual_character,
    insert_unusual_character,
    change_line_endings,
    insert_huge_line,
    empty_file,
]


def mutants(case, number):
    """Yield distinct damaged files, each with the name of the mutation."""
    rng, seen = random.Random(1), {case.text.encode()}
    while number:
        mutation = rng.choice(MUTATIONS)
        made = mutation(case.text, rng, case)
        made = made.encode("utf-8", "replace") if isinstance(made, str) else made
        if made not in seen:
            seen.add(made)
            number -= 1
            yield mutation.__name__, made


def test_mutants_of_label_files(case, outcome):
    kinds = Counter()
    for number, (what, content) in enumerate(mutants(case, MUTANTS)):
        case.labels.write_bytes(content)
        try:
            kinds[outcome(case)] += 1
        except Exception as error:
            text = f"mutant {number}, {what}: {content[:2000]!r}"
            raise AssertionError(text) from error
    assert sum(kinds.values()) == MUTANTS
    # If no mutant had any effect, this test would check nothing.
    assert kinds["error"] >= 5 and kinds["changed"] >= MUTANTS / 3, kinds
