"""The mutants of `make mutants`: which there are of a piece of source, and that each is that source with one change."""

import pytest

from tests.mutants import ROOT, TESTS, mutants


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["(a <= b)", "(a >= b)"]),
        ("a == b is c", ["(a != b is c)", "(a == b is not c)"]),
        ("a and b", ["(a or b)"]),
        ("x = a + 'ü' - b", ["x = (a + 'ü' + b)", "x = (a - 'ü') - b"]),
        ("not a", ["(a)"]),
        ("x = True", ["x = (False)"]),
        ("x = 1", ["x = (2)", "x = (0)"]),
        ("x = 'text'", []),
        ("x = f'{a + b}'", []),
        ("while a: break", ["while (not a): break", "while a: continue"]),
        ("try: a\nexcept B: b", ["try: a\nexcept (()): b"]),
        ("if a:\n    raise B", ["if (not a):\n    raise B", "if a:\n    pass"]),
        ("ü('a'); b()", ["pass; b()", "ü('a'); pass"]),
        ("def a(): return b", ["def a(): return (None)"]),
        ("async def a(): await b()", ["async def a(): pass"]),
        ("@a\ndef b(): ...", ["@(lambda decorated: decorated)\ndef b(): ..."]),
        ("[a for b in c]", ["[a for b in (())]"]),
    ],
)
def test_a_mutant_has_one_change(source: str, expected: list[str]) -> None:
    """In the file's own bytes, so that the rest of it, and each line's number, stays."""
    assert [mutant.apply(source.encode()).decode() for mutant in mutants("a.py", source.encode())] == expected


def test_each_file_has_mutants_and_tests_that_exist() -> None:
    """A file that was moved, or tests that were renamed, are seen here and not after twenty minutes."""
    for file, names in TESTS.items():
        assert list(mutants(file, (ROOT / file).read_bytes()))
        assert all((ROOT / "tests" / f"test_{name}.py").exists() for name in names)
